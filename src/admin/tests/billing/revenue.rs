//! Revenue as `/admin/stats` and `/metrics` tell it, over months in which tenants come, grow, shrink, leave and come back.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};

use crate::admin::tests::support::{Admin, config};
use crate::config::{Config, TrialEnd};

/// Nobody pays in these tests, and nobody is suspended for it; trials last 14 days.
fn patient() -> Config {
    let mut config = config();
    config.billing.due_days = 3_000;
    config
}

async fn revenue(admin: &Admin, month: &str) -> Value {
    let path = if month.is_empty() { "/admin/stats".to_owned() } else { format!("/admin/stats?month={month}") };
    admin.get(&path).await.expect(200).json["revenue"]["USD"].clone()
}

async fn act(admin: &Admin, tenant: &str, action: &str) {
    admin.post(&format!("/admin/tenants/{tenant}/{action}"), json!({})).await.expect(200);
}

/// Amount in minor units and customers of each kind of move.
fn moves(revenue: &Value) -> Vec<(&'static str, i64, i64)> {
    let kinds = ["new", "reactivation", "expansion", "contraction", "churn"].into_iter();
    let of = |kind| (kind, revenue[kind]["amountMinor"].as_i64().unwrap(), revenue[kind]["customers"].as_i64().unwrap());
    kinds.map(of).filter(|(_, amount, customers)| (*amount, *customers) != (0, 0)).collect()
}

#[tokio::test]
async fn months_tell_who_came_grew_left_and_came_back() {
    let admin = Admin::with(patient()).await;
    admin.move_to("2027-01-01T00:00:00Z").await;
    for slug in ["acme", "globex", "initech"] {
        admin.tenant(slug, "pro").await;
    }
    admin.tenant("gratis", "free").await;
    let trials = revenue(&admin, "").await;
    assert_eq!((&trials["mrr"], &trials["customers"], &trials["trials"]["running"]), (&json!(0.0), &json!(0), &json!(3)));
    assert_eq!((&trials["churnRate"], &trials["averagePerCustomer"]), (&Value::Null, &Value::Null), "nothing of nothing");
    act(&admin, "initech", "cancel").await;

    admin.move_to("2027-01-31T12:00:00Z").await;
    let january = revenue(&admin, "").await;
    assert_eq!(moves(&january), [("new", 19_800, 2)]);
    assert_eq!((&january["mrr"], &january["mrrMinor"], &january["arr"]), (&json!(198.0), &json!(19_800), &json!(2376.0)));
    assert_eq!(january["trials"], json!({"running": 0, "converted": 2, "lost": 1, "conversionRate": 0.666667}));
    assert_eq!((&january["open"], &january["overdue"], &january["averagePerCustomerMinor"]), (&json!(198.0), &json!(0.0), &json!(9900)));

    admin.move_to("2027-02-10T00:00:00Z").await;
    admin.subscribe("acme", json!({"plan": "enterprise"})).await.expect(200);
    act(&admin, "globex", "suspend").await;
    let february = revenue(&admin, "").await;
    assert_eq!(moves(&february), [("expansion", 40_000, 1), ("churn", 9900, 1)]);
    assert_eq!((&february["churnRate"], &february["revenueChurnRate"]), (&json!(0.5), &json!(0.5)));
    assert_eq!((&february["netRevenueRetention"], &february["mrr"]), (&json!(2.520202), &json!(499.0)));

    admin.move_to("2027-03-02T00:00:00Z").await;
    act(&admin, "globex", "activate").await;
    admin.subscribe("acme", json!({"plan": "pro"})).await.expect(200);
    assert_eq!(moves(&revenue(&admin, "").await), [("reactivation", 9900, 1)], "less comes with the next period");
    admin.move_to("2027-03-20T00:00:00Z").await;
    let march = revenue(&admin, "").await;
    assert_eq!(moves(&march), [("reactivation", 9900, 1), ("contraction", 40_000, 1)]);
    assert_eq!((&march["mrr"], &march["customers"], &march["customersAtBeginning"]), (&json!(198.0), &json!(2), &json!(1)));

    let past = revenue(&admin, "2027-02").await;
    assert_eq!((&past["mrr"], &past["customers"], moves(&past)), (&json!(499.0), &json!(1), moves(&february)), "as it was at its end");
    assert_eq!((&past["open"], &past["trials"]["running"]), (&Value::Null, &Value::Null));
    assert_eq!(revenue(&admin, "2026-12").await["customers"], 0);
    admin.get("/admin/stats?month=2027-04").await.expect(422).pointers(&["/query/month"]);
}

#[tokio::test]
async fn what_happens_on_the_last_day_of_a_month_belongs_to_it() {
    let admin = Admin::with(patient()).await;
    admin.move_to("2027-01-17T23:59:59Z").await;
    admin.tenant("acme", "pro").await;
    // The trial ends a second before the month does, and that is done two hours later.
    admin.clock.set(crate::model::Millis(crate::admin::tests::support::millis("2027-02-01T02:00:00Z")));
    admin.biller.run(admin.tenants.clock.now(), None).await;
    assert_eq!(moves(&revenue(&admin, "2027-01").await), [("new", 9900, 1)]);
    assert_eq!(moves(&revenue(&admin, "2027-02").await), []);
    assert_eq!(admin.invoices("acme").await[0]["createdAt"], crate::admin::tests::support::millis("2027-01-31T23:59:59Z"));
}

#[tokio::test]
async fn a_trial_that_is_suspended_goes_on_and_is_told_once() {
    let admin = Admin::with(patient()).await;
    admin.move_to("2027-01-01T00:00:00Z").await;
    admin.tenant("acme", "pro").await;
    admin.tenant("globex", "pro").await;
    for slug in ["acme", "globex"] {
        act(&admin, slug, "suspend").await;
    }
    let trials = |revenue: Value| (revenue["trials"]["converted"].clone(), revenue["trials"]["lost"].clone());
    assert_eq!(trials(revenue(&admin, "").await), (json!(0), json!(0)));
    admin.move_to("2027-02-20T00:00:00Z").await;
    assert_eq!(trials(revenue(&admin, "2027-01").await), (json!(0), json!(0)), "what becomes of it is open");
    act(&admin, "acme", "activate").await;
    admin.call("DELETE", "/admin/tenants/globex", Value::Null, &[]).await.expect(200);
    let february = revenue(&admin, "").await;
    assert_eq!((trials(february.clone()), moves(&february)), ((json!(1), json!(1)), vec![("new", 9900, 1)]));
}

#[tokio::test]
async fn a_trial_that_ended_without_a_payment_method_is_lost_unless_it_pays_in_the_same_month() {
    let mut config = patient();
    config.billing.trial_end = TrialEnd::Suspend;
    let admin = Admin::with(config).await;
    admin.move_to("2027-01-01T00:00:00Z").await;
    admin.tenant("acme", "pro").await;
    admin.tenant("globex", "pro").await;
    admin.move_to("2027-01-16T00:00:00Z").await;
    assert_eq!(revenue(&admin, "").await["trials"]["lost"], 2);
    act(&admin, "acme", "activate").await;
    assert_eq!(revenue(&admin, "").await["trials"], json!({"running": 0, "converted": 1, "lost": 1, "conversionRate": 0.5}));
    admin.move_to("2027-02-16T00:00:00Z").await;
    act(&admin, "globex", "activate").await;
    let february = revenue(&admin, "").await;
    assert_eq!((&february["trials"]["converted"], moves(&february)), (&json!(0), vec![("new", 9900, 1)]));
    assert_eq!(revenue(&admin, "2027-01").await["trials"]["lost"], 1);
}

#[tokio::test]
async fn scrapes_see_revenue_debts_and_invoices() {
    let mut config = config();
    config.billing.due_days = 7;
    let admin = Admin::with(config).await;
    admin.move_to("2027-01-01T00:00:00Z").await;
    admin.tenant("acme", "pro").await;
    admin.tenant("globex", "enterprise").await;
    let read = async || admin.get("/metrics").await.text;
    assert!(read().await.contains("gatehouse_paying_customers{currency=\"USD\"} 0.0"), "{}", read().await);
    admin.move_to("2027-01-16T00:00:00Z").await;
    let invoice = admin.invoices("acme").await[0]["id"].as_str().unwrap().to_owned();
    admin.post(&format!("/admin/invoices/{invoice}/pay"), json!({})).await.expect(200);
    admin.move_to("2027-01-23T00:00:00Z").await;
    let text = read().await;
    for line in [
        "gatehouse_revenue_mrr{currency=\"USD\"} 598.0",
        "gatehouse_revenue_open{currency=\"USD\"} 499.0",
        "gatehouse_revenue_overdue{currency=\"USD\"} 499.0",
        "gatehouse_paying_customers{currency=\"USD\"} 2.0",
        "gatehouse_revenue_arr{currency=\"USD\"} 7176.0",
        "gatehouse_revenue_moved{currency=\"USD\",movement=\"new\"} 598.0",
        "gatehouse_customers_moved{currency=\"USD\",movement=\"new\"} 2.0",
        "gatehouse_customers_moved{currency=\"USD\",movement=\"churn\"} 0.0",
        "gatehouse_trials{state=\"converted\"} 2.0",
        "gatehouse_trials{state=\"running\"} 0.0",
        "gatehouse_invoices_issued_total 2",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} in {text}");
    }
    let now = revenue(&admin, "").await;
    assert_eq!((&now["open"], &now["overdue"], &now["arrMinor"]), (&json!(499.0), &json!(499.0), &json!(717_600)));
}
