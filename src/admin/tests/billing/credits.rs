//! Credit notes: what of an invoice can be taken back, how, and the tax in it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};

use crate::admin::tests::support::{Admin, Answer, config};
use crate::config::TaxRate;
use crate::model::{AddOn, Limits, Money, Plan};

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

/// A tenant on a plan for 29.00 from 15 October on, that came to one for 99.00 with 15 of 31 days left; nothing is paid.
async fn upgraded() -> Admin {
    let mut config = config();
    config.billing.due_days = 3_000;
    let starter = Plan { name: "starter".to_owned(), price_monthly: Money(2_900), ..config.plans["pro"].clone() };
    config.plans.insert(starter.name.clone(), starter);
    let admin = Admin::with(config).await;
    admin.move_to("2027-10-01T12:00:00Z").await;
    admin.tenant("acme", "starter").await;
    admin.move_to("2027-10-31T12:00:00Z").await;
    admin.subscribe("acme", json!({"plan": "pro"})).await.expect(200);
    admin
}

/// What the change to the largest plan comes to, with 10 of 31 days left.
async fn next_change(admin: &Admin) -> Vec<(String, i64)> {
    admin.move_to("2027-11-05T12:00:00Z").await;
    admin.subscribe("acme", json!({"plan": "enterprise"})).await.expect(200);
    let invoice = newest(admin).await;
    let line = |line: &Value| Some((line["inputs"]["of"].as_str()?.to_owned(), line["amountMinor"].as_i64()?));
    invoice["items"].as_array().unwrap().iter().filter_map(line).collect()
}

async fn of_newest(admin: &Admin, nth: usize, verb: &str) -> Answer {
    let id = admin.invoices("acme").await[nth]["id"].as_str().unwrap().to_owned();
    admin.post(&format!("/admin/invoices/{id}/{verb}"), Value::Null).await
}

#[tokio::test]
async fn an_invoice_of_which_a_change_has_taken_off_a_part_is_not_voided_before_that_one() {
    let admin = upgraded().await;
    let refused = of_newest(&admin, 0, "void").await.expect(409).json;
    assert!(refused["detail"].as_str().unwrap().contains("INV-000002 has taken off a part"), "{refused}");
    of_newest(&admin, 1, "void").await.expect(200);
    of_newest(&admin, 0, "void").await.expect(200);
    assert_eq!(next_change(&admin).await, [("enterprise v1".to_owned(), 16_097)], "nothing was charged before");
}

#[tokio::test]
async fn no_change_takes_off_what_was_not_charged() {
    for verb in ["void", "credit"] {
        let admin = upgraded().await;
        of_newest(&admin, 0, "pay").await.expect(200);
        of_newest(&admin, 1, verb).await.expect(200);
        // The rest of the first plan is charged again: 29.00 × 10 of 31 days.
        assert_eq!(next_change(&admin).await, [("starter v1".to_owned(), -935), ("enterprise v1".to_owned(), 16_097)], "{verb}");
    }
    // Another cycle has a period of its own: what it took off of the one before is gone with it.
    let admin = upgraded().await;
    admin.subscribe("acme", json!({"plan": "pro", "billingCycle": "yearly"})).await.expect(200);
    of_newest(&admin, 2, "void").await.expect(200);
    admin.subscribe("acme", json!({"plan": "enterprise", "billingCycle": "yearly"})).await.expect(200);
    let invoice = newest(&admin).await;
    assert_eq!((invoice["items"].as_array().unwrap().len(), &invoice["amountMinor"]), (1, &json!(499_000)));
}

#[tokio::test]
async fn what_a_plan_of_the_same_price_came_for_is_known_though_no_invoice_tells_of_it() {
    let mut config = config();
    config.billing.due_days = 3_000;
    let alike = Plan { name: "alike".to_owned(), ..config.plans["pro"].clone() };
    config.plans.insert(alike.name.clone(), alike);
    // What was paid for is taken off; what is void is not.
    for (verb, taken_off) in [("pay", Some(("pro v1".to_owned(), -3_194))), ("void", None)] {
        let admin = Admin::with(config.clone()).await;
        admin.move_to("2027-10-01T12:00:00Z").await;
        admin.tenant("acme", "pro").await;
        admin.move_to("2027-10-31T12:00:00Z").await;
        admin.subscribe("acme", json!({"plan": "alike"})).await.expect(200);
        assert_eq!(admin.invoices("acme").await.len(), 1, "as much is taken off as is charged");
        of_newest(&admin, 0, verb).await.expect(200);
        let wanted: Vec<_> = taken_off.into_iter().chain([("enterprise v1".to_owned(), 16_097)]).collect();
        assert_eq!(next_change(&admin).await, wanted, "{verb}");
    }
}

#[tokio::test]
async fn what_a_later_change_has_taken_off_is_not_credited_once_more() {
    let admin = upgraded().await;
    of_newest(&admin, 0, "pay").await.expect(200);
    // Of 29.00 the change has taken off 14.03.
    let credited = of_newest(&admin, 0, "credit").await.expect(200).json;
    assert_eq!(credited["creditNotes"][0]["amountMinor"], 1_497);
    let refused = of_newest(&admin, 0, "credit").await.expect(409).json;
    assert!(refused["detail"].as_str().unwrap().contains("beside what later invoices have taken off"), "{refused}");
    // Without that change the rest of the plan is charged again, and the next one takes it off.
    of_newest(&admin, 1, "void").await.expect(200);
    assert_eq!(next_change(&admin).await, [("starter v1".to_owned(), -935), ("enterprise v1".to_owned(), 16_097)]);
}

#[tokio::test]
async fn what_was_given_up_is_not_taken_off_unless_it_is_paid_after_all() {
    for (verb, before) in [("uncollectible", None), ("pay", Some(("pro v1".to_owned(), -3_194)))] {
        let admin = upgraded().await;
        of_newest(&admin, 0, "pay").await.expect(200);
        of_newest(&admin, 1, "uncollectible").await.expect(200);
        if verb == "pay" {
            of_newest(&admin, 1, "pay").await.expect(200);
        }
        let before = before.unwrap_or_else(|| ("starter v1".to_owned(), -935));
        assert_eq!(next_change(&admin).await, [before, ("enterprise v1".to_owned(), 16_097)], "{verb}");
    }
}

#[tokio::test]
async fn credit_pays_open_invoices_where_it_is_asked_to() {
    let mut config = config();
    config.billing.due_days = 3_000;
    let admin = Admin::with(config).await;
    admin.move_to("2027-10-01T12:00:00Z").await;
    admin.tenant("acme", "pro").await;
    admin.subscribe("acme", json!({"plan": "pro", "billingCycle": "yearly"})).await.expect(200);
    admin.move_to("2027-10-25T12:00:00Z").await;
    admin.subscribe("acme", json!({"plan": "pro", "billingCycle": "monthly"})).await.expect(200);
    // 990.00 is open, and 356 days of 366 of it are credit, less a month.
    assert_eq!(balance(&admin).await, 96_295 - 9_900);
    let refused = of_newest(&admin, 0, "uncollectible").await.expect(409).json;
    assert!(refused["detail"].as_str().unwrap().contains("a credit of 863.95 USD"), "{refused}");
    let id = admin.invoices("acme").await[0]["id"].as_str().unwrap().to_owned();
    let pay = async |body: Value| admin.post(&format!("/admin/invoices/{id}/pay"), body).await;
    pay(json!({"fromCredit": true, "reference": "x"})).await.expect(422).pointers(&["/reference"]);
    let paid = pay(json!({"fromCredit": true})).await.expect(200).json;
    assert_eq!((&paid["status"], &paid["amountDueMinor"], &paid["fromCreditMinor"]), (&json!("open"), &json!(12_605), &json!(86_395)));
    assert_eq!((balance(&admin).await, admin.show("acme").await["amountDueMinor"].clone()), (0, json!(12_605)));
    pay(json!({"fromCredit": true})).await.expect(409).code("invalid_transition");
    assert_eq!(pay(Value::Null).await.expect(200).json["status"], "paid");
}

#[tokio::test]
async fn what_a_void_change_had_taken_away_is_charged_again_and_taken_off_by_the_next() {
    let mut config = config();
    config.billing.due_days = 3_000;
    let starter = Plan { name: "starter".to_owned(), price_monthly: Money(2_900), ..config.plans["pro"].clone() };
    config.plans.insert(starter.name.clone(), starter);
    let (name, title) = ("seats".to_owned(), "Seats".to_owned());
    let seats = AddOn { name, title, price_monthly: Money(500), price_yearly: Money(5_000), adds: Limits::default() };
    config.add_ons.insert("seats".to_owned(), seats);
    let admin = Admin::with(config).await;
    admin.move_to("2027-10-01T12:00:00Z").await;
    admin.tenant("acme", "starter").await;
    admin.subscribe("acme", json!({"plan": "starter", "addOns": [{"name": "seats", "quantity": 5}]})).await.expect(200);
    admin.move_to("2027-10-31T12:00:00Z").await;
    of_newest(&admin, 0, "pay").await.expect(200);
    admin.subscribe("acme", json!({"plan": "pro", "addOns": []})).await.expect(200);
    of_newest(&admin, 1, "void").await.expect(200);
    let wanted = [("starter v1", -935), ("seats", -806), ("enterprise v1", 16_097)].map(|(of, amount)| (of.to_owned(), amount));
    assert_eq!(next_change(&admin).await, wanted);
    let lines = newest(&admin).await["items"].clone();
    assert_eq!(lines[1]["description"], "Seats × 5 - unused 10 of 31 days");
}
