//! Invoices are told with the numbers that they were given, and the tenant's moves with them.

use reqwest::Method;
use serde_json::{Value, json};

use super::receiver::{Receiver, verified};
use super::{SECRETS, endpoint, gateway, make};

#[tokio::test]
async fn an_invoice_is_told_with_its_number_when_it_is_issued_overdue_and_paid() {
    let receiver = Receiver::willing().await;
    let gateway = gateway().set("dev.test_clock", "true").toml(&endpoint("books", &receiver.url(), "")).start().await;
    let id = make(&gateway, "acme").await;
    let advance = async |by: &str| gateway.admin(Method::POST, "/admin/clock", json!({"advance": by})).await.expect(200);
    advance("0s").await;
    advance("14d").await;
    let issued = receiver.hears("invoice.issued").await.json();
    let invoices = gateway.admin(Method::GET, &format!("/admin/tenants/{id}/invoices"), Value::Null).await.expect(200).json();
    let invoice = &invoices[0];
    for member in ["id", "number", "amountMinor", "currency", "dueDate"] {
        assert_eq!(issued["data"][member], invoice[member], "{member}: {issued}");
    }
    assert_eq!((&issued["data"]["number"], &issued["data"]["tenantId"]), (&json!("INV-000001"), &json!(id)));
    advance("14d").await;
    assert_eq!(receiver.hears("tenant.past_due").await.json()["data"]["status"], "past_due");
    let path = format!("/admin/invoices/{}/pay", invoice["id"].as_str().unwrap());
    gateway.admin(Method::POST, &path, json!({"reference": "transfer 1"})).await.expect(200);
    let paid = receiver.hears("invoice.paid").await.json();
    assert_eq!((&paid["data"]["number"], &paid["data"]["status"]), (&json!("INV-000001"), &json!("paid")));
    let told = receiver.told();
    assert_eq!(verified(&told, SECRETS[0]), vec![true; told.len()]);
}
