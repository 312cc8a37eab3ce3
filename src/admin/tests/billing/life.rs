//! From the trial to the last invoice.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};

use crate::admin::tests::support::{Admin, NOW, config, millis};
use crate::config::TrialEnd;

const DAY: i64 = 86_400_000;

/// Status, number of invoices, and what is owed in minor units.
async fn stands(admin: &Admin) -> (String, usize, i64) {
    let tenant = admin.show("acme").await;
    let count = admin.invoices("acme").await.len();
    (tenant["status"].as_str().unwrap().to_owned(), count, tenant["amountDueMinor"].as_i64().unwrap())
}

fn like(status: &str, invoices: usize, due: i64) -> (String, usize, i64) {
    (status.to_owned(), invoices, due)
}

#[tokio::test]
async fn who_never_pays_is_past_due_then_suspended_and_starts_no_new_period() {
    let admin = Admin::start().await;
    admin.tenant("acme", "pro").await;
    assert_eq!(stands(&admin).await, like("trial", 0, 0));
    admin.clock.set(NOW);
    admin.advance("13d").await;
    assert_eq!(stands(&admin).await, like("trial", 0, 0));
    admin.advance("1d").await;
    assert_eq!(stands(&admin).await, like("active", 1, 9900));
    let invoice = admin.invoices("acme").await.remove(0);
    let begun = NOW.0 + 14 * DAY;
    assert_eq!((&invoice["status"], &invoice["number"]), (&json!("open"), &json!("INV-000001")));
    assert_eq!((&invoice["createdAt"], &invoice["dueDate"]), (&json!(begun), &json!(begun + 14 * DAY)));
    admin.move_to("2026-12-22T11:59:59.999Z").await;
    assert_eq!(stands(&admin).await, like("active", 1, 9900));
    admin.move_to("2026-12-22T12:00:00Z").await;
    assert_eq!(stands(&admin).await, like("past_due", 1, 9900));
    admin.move_to("2026-12-29T11:59:59.999Z").await;
    assert_eq!(stands(&admin).await, like("past_due", 1, 9900));
    admin.move_to("2026-12-29T12:00:00Z").await;
    assert_eq!(stands(&admin).await, like("suspended", 1, 9900));
    admin.advance("200d").await;
    assert_eq!(stands(&admin).await, like("suspended", 1, 9900));
    let id = invoice["id"].as_str().unwrap();
    let paid = admin.post(&format!("/admin/invoices/{id}/pay"), json!({"reference": "transfer 1"})).await.expect(200).json;
    assert_eq!((&paid["status"], &paid["payment"]["reference"]), (&json!("paid"), &json!("transfer 1")));
    // Its period ended while it was not served: a new one begins with the payment.
    assert_eq!(stands(&admin).await, like("active", 2, 9900));
    let second = admin.invoices("acme").await.remove(1);
    assert_eq!((&second["period"]["start"], &second["number"]), (&paid["paidAt"], &json!("INV-000002")));
}

#[tokio::test]
async fn every_period_is_invoiced_once_at_its_start_and_paid_ones_keep_the_tenant_active() {
    let admin = Admin::start().await;
    admin.move_to("2027-01-17T09:30:00.250Z").await;
    admin.tenant("acme", "pro").await;
    admin.move_to("2027-01-31T09:30:00.250Z").await;
    for month in 0..12 {
        let invoices = admin.invoices("acme").await;
        assert_eq!(invoices.len(), month + 1);
        let newest = invoices.last().unwrap();
        assert_eq!((&newest["amountMinor"], &newest["items"].as_array().unwrap().len()), (&json!(9900), &1));
        let path = format!("/admin/invoices/{}/pay", newest["id"].as_str().unwrap());
        admin.post(&path, Value::Null).await.expect(200);
        assert_eq!(admin.show("acme").await["status"], "active");
        let end = newest["period"]["end"].as_i64().unwrap();
        admin.post("/admin/clock", json!({"to": end})).await.expect(200);
    }
    let starts: Vec<i64> = admin.invoices("acme").await.iter().map(|it| it["period"]["start"].as_i64().unwrap()).collect();
    let expected = [
        "2027-01-31",
        "2027-02-28",
        "2027-03-31",
        "2027-04-30",
        "2027-05-31",
        "2027-06-30",
        "2027-07-31",
        "2027-08-31",
        "2027-09-30",
        "2027-10-31",
        "2027-11-30",
        "2027-12-31",
        "2028-01-31",
    ];
    assert_eq!(starts, expected.map(|day| millis(&format!("{day}T09:30:00.250Z"))));
}

#[tokio::test]
async fn a_trial_without_a_payment_method_ends_as_configured() {
    for (ends, status, plan, invoices) in
        [(TrialEnd::Invoice, "active", "pro", 1), (TrialEnd::Suspend, "suspended", "pro", 0), (TrialEnd::Free, "active", "free", 0)]
    {
        let mut config = config();
        config.billing.trial_end = ends;
        let admin = Admin::with(config).await;
        admin.tenant("acme", "pro").await;
        admin.advance("14d").await;
        let tenant = admin.show("acme").await;
        assert_eq!((&tenant["status"], &tenant["plan"]), (&json!(status), &json!(plan)), "{ends:?}");
        assert_eq!(admin.invoices("acme").await.len(), invoices, "{ends:?}");
        if ends == TrialEnd::Suspend {
            // Whoever serves it again begins its first period.
            admin.advance("3d").await;
            assert_eq!(admin.post("/admin/tenants/acme/activate", Value::Null).await.expect(200).json["status"], "active");
            assert_eq!(admin.invoices("acme").await[0]["period"]["start"], NOW.0 + 17 * DAY);
        }
    }
}

#[tokio::test]
async fn a_tenant_cancels_now_or_with_its_period_and_may_think_again() {
    let admin = Admin::start().await;
    admin.tenant("acme", "pro").await;
    admin.advance("14d").await;
    let cancel =
        async |at_period_end: bool| admin.post("/admin/tenants/acme/cancel", json!({"atPeriodEnd": at_period_end})).await.expect(200).json;
    let activate = async || admin.post("/admin/tenants/acme/activate", Value::Null).await.expect(200).json;
    let end = admin.show("acme").await["currentPeriodEnd"].as_i64().unwrap();
    let later = cancel(true).await;
    assert_eq!((&later["status"], &later["cancelAtPeriodEnd"]), (&json!("active"), &json!(true)));
    assert_eq!(activate().await["cancelAtPeriodEnd"], false);
    // Now, and back within what is paid for: nothing is charged again.
    assert_eq!(cancel(false).await["status"], "canceled");
    admin.advance("2d").await;
    assert_eq!(activate().await["status"], "active");
    assert_eq!((admin.show("acme").await["currentPeriodEnd"].as_i64().unwrap(), admin.invoices("acme").await.len()), (end, 1));
    let id = admin.invoices("acme").await[0]["id"].as_str().unwrap().to_owned();
    admin.post(&format!("/admin/invoices/{id}/pay"), Value::Null).await.expect(200);
    cancel(true).await;
    admin.post("/admin/clock", json!({"to": end - 1})).await.expect(200);
    assert_eq!(admin.show("acme").await["status"], "active");
    admin.post("/admin/clock", json!({"to": end})).await.expect(200);
    assert_eq!(admin.show("acme").await["status"], "canceled");
    admin.advance("100d").await;
    assert_eq!(admin.invoices("acme").await.len(), 1);
    // Long after, it begins anew.
    assert_eq!(activate().await["status"], "active");
    assert_eq!(admin.invoices("acme").await.len(), 2);
}

#[tokio::test]
async fn a_trial_is_ended_by_activate_and_can_be_canceled_to_its_end() {
    let admin = Admin::start().await;
    admin.tenant("acme", "pro").await;
    admin.advance("3d").await;
    assert_eq!(admin.post("/admin/tenants/acme/cancel", json!({"atPeriodEnd": true})).await.expect(200).json["status"], "trial");
    admin.advance("11d").await;
    assert_eq!(stands(&admin).await, like("canceled", 0, 0));
    admin.tenant("globex", "pro").await;
    let globex = admin.post("/admin/tenants/globex/activate", Value::Null).await.expect(200).json;
    assert_eq!((&globex["status"], &globex["amountDueMinor"]), (&json!("active"), &json!(9900)));
}

#[tokio::test]
async fn the_operators_suspension_outlasts_a_payment_and_a_served_debtor_gets_a_fresh_grace() {
    let admin = Admin::start().await;
    admin.tenant("acme", "pro").await;
    admin.advance("29d").await;
    assert_eq!(stands(&admin).await, like("past_due", 1, 9900));
    admin.advance("7d").await;
    assert_eq!(stands(&admin).await, like("suspended", 1, 9900));
    assert_eq!(admin.post("/admin/tenants/acme/activate", Value::Null).await.expect(200).json["status"], "past_due");
    admin.advance("6d").await;
    assert_eq!(stands(&admin).await, like("past_due", 1, 9900));
    admin.advance("1d").await;
    assert_eq!(stands(&admin).await.0, "suspended");
    admin.post("/admin/tenants/acme/activate", Value::Null).await.expect(200);
    admin.post("/admin/tenants/acme/suspend", json!({"reason": "abuse"})).await.expect(200);
    for invoice in admin.invoices("acme").await {
        admin.post(&format!("/admin/invoices/{}/pay", invoice["id"].as_str().unwrap()), Value::Null).await.expect(200);
    }
    assert_eq!(admin.show("acme").await["status"], "suspended");
    assert_eq!(admin.post("/admin/tenants/acme/activate", Value::Null).await.expect(200).json["status"], "active");
}

#[tokio::test]
async fn an_invoice_is_void_given_up_or_credited_and_never_edited() {
    let admin = Admin::start().await;
    admin.tenant("acme", "pro").await;
    admin.advance("14d").await;
    let first = admin.invoices("acme").await.remove(0);
    let path = |verb: &str| format!("/admin/invoices/{}/{verb}", first["id"].as_str().unwrap());
    admin.post(&path("credit"), json!({"amountMinor": 9901})).await.expect(422).pointers(&["/amountMinor"]);
    let credited = admin.post(&path("credit"), json!({"amountMinor": 900, "reason": "outage"})).await.expect(200).json;
    assert_eq!((&credited["amountMinor"], &credited["amountDueMinor"]), (&json!(9900), &json!(9000)));
    assert_eq!((&credited["creditNotes"][0]["number"], &credited["creditNotes"][0]["outcome"]), (&json!("CN-000001"), &json!("reduced")));
    assert_eq!(credited["items"], first["items"]);
    admin.post(&path("pay"), Value::Null).await.expect(200);
    admin.post(&path("void"), Value::Null).await.expect(409).code("invalid_transition");
    let balance = admin.post(&path("credit"), json!({"amountMinor": 5000})).await.expect(200).json;
    assert_eq!(balance["creditNotes"][1]["outcome"], "balance");
    assert_eq!(admin.show("acme").await["creditMinor"], 5000);
    admin.post(&path("credit"), json!({"amountMinor": 4001})).await.expect(422);
    let refunded = admin.post(&path("credit"), json!({"refund": true})).await.expect(200).json;
    assert_eq!((&refunded["creditNotes"][2]["amountMinor"], &refunded["creditNotes"][2]["outcome"]), (&json!(4000), &json!("refunded")));
    let end = first["period"]["end"].as_i64().unwrap();
    admin.post("/admin/clock", json!({"to": end})).await.expect(200);
    let second = admin.invoices("acme").await.remove(1);
    assert_eq!((&second["amountMinor"], &second["items"][1]["amountMinor"]), (&json!(4900), &json!(-5000)));
    assert_eq!(admin.show("acme").await["creditMinor"], 0);
    let void = format!("/admin/invoices/{}/void", second["id"].as_str().unwrap());
    assert_eq!(admin.post(&void, json!({"reason": "wrong"})).await.expect(200).json["status"], "void");
    let tenant = admin.show("acme").await;
    assert_eq!((&tenant["creditMinor"], &tenant["amountDueMinor"]), (&json!(5000), &json!(0)), "the credit it had used is there again");
    let end = second["period"]["end"].as_i64().unwrap();
    admin.post("/admin/clock", json!({"to": end + 20 * DAY})).await.expect(200);
    let third = admin.invoices("acme").await.remove(2);
    assert_eq!((&admin.show("acme").await["status"], &third["number"]), (&json!("past_due"), &json!("INV-000003")));
    let given_up = format!("/admin/invoices/{}/uncollectible", third["id"].as_str().unwrap());
    assert_eq!(admin.post(&given_up, Value::Null).await.expect(200).json["status"], "uncollectible");
    assert_eq!(admin.show("acme").await["status"], "suspended");
}
