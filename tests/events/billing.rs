//! Invoices are told with the numbers that they were given, and the tenant's moves with them.

use reqwest::Method;
use serde_json::{Value, json};

use super::receiver::{Receiver, verified};
use super::{SECRETS, endpoint, gateway, make};
use crate::support::stripe::{FakeStripe, KEY, SECRET, Turn};

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

#[tokio::test]
async fn a_charge_that_is_declined_is_told_with_its_reason() {
    let (receiver, stripe) = (Receiver::willing().await, FakeStripe::start().await);
    let settings = [
        ("dev.test_clock", "true"),
        ("billing.provider", "stripe"),
        ("billing.stripe_api", &stripe.url()),
        ("STRIPE_SECRET_KEY", KEY),
        ("STRIPE_WEBHOOK_SECRET", SECRET),
    ];
    let builder = settings.iter().fold(gateway(), |builder, (name, value)| builder.set(name, value));
    let gateway = builder.toml(&endpoint("books", &receiver.url(), "")).start().await;
    let id = make(&gateway, "acme").await;
    let method = json!({"paymentMethod": "pm_one"});
    gateway.admin(Method::PUT, "/admin/tenants/acme/payment-method", method).await.expect(200);
    stripe.will("/v1/payment_intents", "", Turn::Decline("insufficient_funds"));
    gateway.admin(Method::POST, "/admin/clock", json!({"advance": "14d"})).await.expect(200);
    let failed = receiver.hears("invoice.payment_failed").await.json();
    let data = &failed["data"];
    assert_eq!((&data["tenantId"], &data["number"], &data["status"]), (&json!(id), &json!("INV-000001"), &json!("open")));
    assert_eq!((&data["attempt"]["number"], &data["attempt"]["code"]), (&json!(1), &json!("insufficient_funds")));
    assert!(data["nextAttemptAt"].is_i64(), "{failed}");
}
