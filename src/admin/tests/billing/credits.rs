//! Credit notes: what of an invoice can be taken back, how, and the tax in it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};

use crate::admin::tests::support::{Admin, config};
use crate::config::TaxRate;

/// A tenant in Germany in its first period, whose invoice of 117.81 is paid.
async fn paid() -> (Admin, String) {
    let mut config = config();
    config.billing.due_days = 3_000;
    config.billing.tax = vec![TaxRate { country: "DE".to_owned(), parts_per_million: 190_000, inclusive: false, reverse_charge: false }];
    let admin = Admin::with(config).await;
    admin.move_to("2027-10-01T12:00:00Z").await;
    let body = json!({"name": "Acme", "slug": "acme", "plan": "pro", "billing": {"country": "DE"}});
    admin.post("/admin/tenants", body).await.expect(201);
    admin.move_to("2027-10-15T12:00:00Z").await;
    let id = newest(&admin).await["id"].as_str().unwrap().to_owned();
    admin.post(&format!("/admin/invoices/{id}/pay"), Value::Null).await.expect(200);
    (admin, id)
}

async fn newest(admin: &Admin) -> Value {
    admin.invoices("acme").await.pop().unwrap()
}

async fn balance(admin: &Admin) -> i64 {
    admin.show("acme").await["creditMinor"].as_i64().unwrap()
}

#[tokio::test]
async fn the_tax_of_all_credit_notes_is_that_of_the_invoice_once_all_of_it_is_credited() {
    let (admin, id) = paid().await;
    let credit = async |body: Value| admin.post(&format!("/admin/invoices/{id}/credit"), body).await;
    for (body, amount, tax) in
        [(json!({"amountMinor": 5000}), 5000, 798), (json!({"amountMinor": 5000}), 5000, 799), (json!({}), 1781, 284)]
    {
        let invoice = credit(body).await.expect(200).json;
        let note = invoice["creditNotes"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&note["amountMinor"], &note["taxMinor"]), (&json!(amount), &json!(tax)));
    }
    assert_eq!(balance(&admin).await, 11_781);
    credit(json!({})).await.expect(409).code("invalid_transition");
}

#[tokio::test]
async fn only_money_is_given_back_and_what_the_balance_has_paid_returns_to_it() {
    let (admin, id) = paid().await;
    admin.post(&format!("/admin/invoices/{id}/credit"), json!({"amountMinor": 10_000})).await.expect(200);
    admin.move_to("2027-11-15T12:00:00Z").await;
    let second = newest(&admin).await;
    assert_eq!((&second["amountMinor"], balance(&admin).await), (&json!(1781), 0));
    let path = format!("/admin/invoices/{}", second["id"].as_str().unwrap());
    admin.post(&format!("{path}/pay"), Value::Null).await.expect(200);
    let credit = async |body: Value| admin.post(&format!("{path}/credit"), body).await;
    credit(json!({"amountMinor": 1782, "refund": true})).await.expect(422).pointers(&["/amountMinor"]);
    let refunded = credit(json!({"amountMinor": 1000, "refund": true})).await.expect(200).json;
    assert_eq!((&refunded["creditNotes"][0]["outcome"], balance(&admin).await), (&json!("refunded"), 0));
    let left = credit(json!({})).await.expect(200).json;
    assert_eq!((&left["creditNotes"][1]["amountMinor"], &left["creditNotes"][1]["outcome"]), (&json!(10_781), &json!("balance")));
    assert_eq!(balance(&admin).await, 10_781);
    credit(json!({"refund": true})).await.expect(409).code("invalid_transition");
}

#[tokio::test]
async fn an_invoice_that_the_balance_has_paid_can_be_credited_and_not_refunded() {
    let (admin, id) = paid().await;
    admin.post(&format!("/admin/invoices/{id}/credit"), Value::Null).await.expect(200);
    admin.move_to("2027-11-15T12:00:00Z").await;
    let second = newest(&admin).await;
    assert_eq!((&second["status"], &second["amountMinor"], balance(&admin).await), (&json!("paid"), &json!(0), 0));
    let path = format!("/admin/invoices/{}/credit", second["id"].as_str().unwrap());
    let refused = admin.post(&path, json!({"refund": true})).await.expect(409).json;
    assert!(refused["detail"].as_str().unwrap().contains("nothing is left of it that was paid"), "{refused}");
    let credited = admin.post(&path, Value::Null).await.expect(200).json;
    let note = &credited["creditNotes"][0];
    assert_eq!((&note["amountMinor"], &note["taxMinor"], balance(&admin).await), (&json!(11_781), &json!(1881), 11_781));
}

#[tokio::test]
async fn a_payment_is_recorded_once_and_another_one_is_refused() {
    let (admin, id) = paid().await;
    let pay = async |body: Value| admin.post(&format!("/admin/invoices/{id}/pay"), body).await;
    assert_eq!(pay(Value::Null).await.expect(200).json["status"], "paid");
    let refused = pay(json!({"reference": "transfer 2"})).await.expect(409).json;
    assert!(refused["detail"].as_str().unwrap().contains("is paid already"), "{refused}");
    assert_eq!(admin.get(&format!("/admin/invoices/{id}")).await.json["payment"]["reference"], Value::Null);
}
