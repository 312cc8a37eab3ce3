//! Changes of a subscription: now or later, previewed and charged alike.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};

use crate::admin::tests::support::{Admin, config, millis};
use crate::config::{Config, Proration};
use crate::model::{AddOn, Limits, Money};

/// Starter at 29, pro at 99, enterprise at 499, and seats at 12 for ten users.
fn catalogue() -> Config {
    let mut config = config();
    let mut starter = config.plans["pro"].clone();
    (starter.name, starter.price_monthly, starter.price_yearly) = ("starter".to_owned(), Money(2900), Money(29_000));
    starter.limits.max_users = Some(10);
    config.plans.insert("starter".to_owned(), starter);
    let adds = Limits { max_users: Some(10), ..Limits::default() };
    let seats =
        AddOn { name: "seats".to_owned(), title: "Ten seats".to_owned(), price_monthly: Money(1200), price_yearly: Money(12_000), adds };
    config.add_ons.insert("seats".to_owned(), seats);
    // Nobody pays in these tests, and nobody is suspended for it.
    config.billing.due_days = 3_000;
    config
}

/// A tenant whose first period began on the 15th of October 2027 and has 31 days.
async fn subscribed(config: Config, plan: &str, cycle: &str) -> Admin {
    let admin = Admin::with(config).await;
    admin.move_to("2027-10-01T00:00:00Z").await;
    let body = json!({"name": "Acme", "slug": "acme", "plan": plan, "billingCycle": cycle});
    admin.post("/admin/tenants", body).await.expect(201);
    admin.move_to("2027-10-15T00:00:00Z").await;
    admin
}

fn amounts(invoice: &Value) -> Vec<(String, i64)> {
    let line = |line: &Value| (line["kind"].as_str().unwrap().to_owned(), line["amountMinor"].as_i64().unwrap());
    invoice["items"].as_array().or_else(|| invoice["lines"].as_array()).unwrap().iter().map(line).collect()
}

fn lines(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(kind, amount)| ((*kind).to_owned(), *amount)).collect()
}

#[tokio::test]
async fn an_upgrade_is_charged_at_once_for_the_days_that_are_left() {
    let admin = subscribed(catalogue(), "starter", "monthly").await;
    admin.move_to("2027-10-31T18:00:00Z").await;
    let preview = admin.call("PUT", "/admin/tenants/acme/subscription?dryRun=true", json!({"plan": "pro"}), &[]).await.expect(200).json;
    assert_eq!((&preview["total"], &preview["totalMinor"]), (&json!(33.87), &json!(3387)));
    assert_eq!((&preview["effectiveAt"], &preview["limits"]["maxUsers"]), (&json!(millis("2027-10-31T18:00:00Z")), &json!(50)));
    assert_eq!(admin.show("acme").await["plan"], "starter", "a preview changes nothing");
    let changed = admin.subscribe("acme", json!({"plan": "pro"})).await.expect(200).json;
    assert_eq!((&changed["plan"], &changed["limits"]["maxUsers"], &changed["pendingChange"]), (&json!("pro"), &json!(50), &Value::Null));
    let invoice = admin.invoices("acme").await.remove(1);
    assert_eq!((&invoice["amount"], &invoice["reason"]), (&json!(33.87), &json!("change")));
    assert_eq!(amounts(&invoice), lines(&[("proration", -1403), ("proration", 4790)]));
    admin.move_to("2027-11-15T00:00:00Z").await;
    assert_eq!(amounts(&admin.invoices("acme").await[2]), lines(&[("subscription", 9900)]));
}

#[tokio::test]
async fn a_downgrade_waits_for_the_end_of_the_period_and_can_be_taken_back() {
    let admin = subscribed(catalogue(), "pro", "monthly").await;
    let preview = admin.call("PUT", "/admin/tenants/acme/subscription?dryRun=true", json!({"plan": "starter"}), &[]).await.expect(200).json;
    assert_eq!((&preview["totalMinor"], &preview["effectiveAt"]), (&json!(0), &json!(millis("2027-11-15T00:00:00Z"))));
    let changed = admin.subscribe("acme", json!({"plan": "starter"})).await.expect(200).json;
    assert_eq!((&changed["plan"], &changed["limits"]["maxUsers"]), (&json!("pro"), &json!(50)));
    assert_eq!((&changed["pendingChange"]["plan"], &changed["pendingChange"]["effectiveAt"]), (&json!("starter"), &preview["effectiveAt"]));
    assert_eq!(preview["replaces"], Value::Null);
    let another = admin.call("PUT", "/admin/tenants/acme/subscription?dryRun=true", json!({"plan": "enterprise"}), &[]).await;
    assert_eq!(another.expect(200).json["replaces"]["plan"], "starter");
    assert_eq!(admin.subscribe("acme", json!({"plan": "pro"})).await.expect(200).json["pendingChange"], Value::Null);
    admin.subscribe("acme", json!({"plan": "free"})).await.expect(200);
    admin.subscribe("acme", json!({"plan": "starter"})).await.expect(200);
    admin.move_to("2027-11-15T00:00:00Z").await;
    let after = admin.show("acme").await;
    assert_eq!((&after["plan"], &after["limits"]["maxUsers"], &after["pendingChange"]), (&json!("starter"), &json!(10), &Value::Null));
    assert_eq!(amounts(&admin.invoices("acme").await[1]), lines(&[("subscription", 2900)]));
    admin.subscribe("acme", json!({"plan": "free"})).await.expect(200);
    admin.move_to("2028-03-01T00:00:00Z").await;
    assert_eq!((&admin.show("acme").await["plan"], admin.invoices("acme").await.len()), (&json!("free"), 2), "free makes no invoices");
}

#[tokio::test]
async fn another_cycle_credits_the_rest_and_begins_anew() {
    let admin = subscribed(catalogue(), "pro", "monthly").await;
    admin.move_to("2027-10-31T06:00:00Z").await;
    admin.subscribe("acme", json!({"plan": "pro", "billingCycle": "yearly"})).await.expect(200);
    let invoice = admin.invoices("acme").await.remove(1);
    assert_eq!(amounts(&invoice), lines(&[("proration", -4790), ("subscription", 99_000)]));
    assert_eq!(invoice["period"], json!({"start": millis("2027-10-31T06:00:00Z"), "end": millis("2028-10-31T06:00:00Z")}));
    // Half a year later back to months: what is left of the year is more than a month costs.
    admin.move_to("2028-04-30T06:00:00Z").await;
    let preview = admin.call("PUT", "/admin/tenants/acme/subscription?dryRun=true", json!({"plan": "pro"}), &[]).await.expect(200).json;
    // 184 of 366 days.
    assert_eq!(
        (&preview["totalMinor"], amounts(&preview)),
        (&json!(9900 - 49_770), lines(&[("proration", -49_770), ("subscription", 9900)]))
    );
    admin.subscribe("acme", json!({"plan": "pro", "quote": preview["quote"]})).await.expect(200);
    let invoice = admin.invoices("acme").await.remove(2);
    assert_eq!((&invoice["status"], &invoice["amountMinor"]), (&json!("paid"), &json!(0)));
    assert_eq!(admin.show("acme").await["creditMinor"], 39_870);
    // The credit pays the next months: 398.70 − 4 × 99 = 2.70.
    admin.move_to("2028-09-30T06:00:00Z").await;
    let last: Vec<i64> = admin.invoices("acme").await[3..].iter().map(|it| it["amountMinor"].as_i64().unwrap()).collect();
    assert_eq!(last, [0, 0, 0, 0, 9630]);
    assert_eq!(admin.show("acme").await["creditMinor"], 0);
}

#[tokio::test]
async fn who_is_suspended_begins_no_period_with_another_cycle_but_with_the_next_one() {
    let admin = subscribed(catalogue(), "pro", "monthly").await;
    admin.post("/admin/tenants/acme/suspend", json!({})).await.expect(200);
    admin.move_to("2027-10-31T06:00:00Z").await;
    let changed = admin.subscribe("acme", json!({"plan": "enterprise", "billingCycle": "yearly"})).await.expect(200).json;
    assert_eq!(
        (&changed["status"], &changed["plan"], &changed["pendingChange"]["billingCycle"]),
        (&json!("suspended"), &json!("pro"), &json!("yearly"))
    );
    admin.move_to("2027-12-01T00:00:00Z").await;
    assert_eq!(admin.invoices("acme").await.len(), 1);
    let active = admin.post("/admin/tenants/acme/activate", Value::Null).await.expect(200).json;
    assert_eq!((&active["status"], &active["plan"], &active["billingCycle"]), (&json!("active"), &json!("enterprise"), &json!("yearly")));
    let invoice = admin.invoices("acme").await.remove(1);
    assert_eq!(invoice["period"], json!({"start": millis("2027-12-01T00:00:00Z"), "end": millis("2028-12-01T00:00:00Z")}));
}

#[tokio::test]
async fn from_free_to_paid_the_first_period_and_its_whole_invoice_start_now() {
    let admin = Admin::with(catalogue()).await;
    admin.move_to("2027-01-31T10:00:00Z").await;
    admin.tenant("acme", "free").await;
    assert_eq!(admin.show("acme").await["status"], "active");
    admin.move_to("2027-03-31T10:00:00Z").await;
    admin.subscribe("acme", json!({"plan": "starter"})).await.expect(200);
    let invoice = admin.invoices("acme").await.remove(0);
    assert_eq!((&invoice["amountMinor"], &invoice["period"]["start"]), (&json!(2900), &json!(millis("2027-03-31T10:00:00Z"))));
    assert_eq!(invoice["period"]["end"], millis("2027-04-30T10:00:00Z"));
}

#[tokio::test]
async fn a_change_in_the_trial_makes_no_invoice() {
    let admin = Admin::with(catalogue()).await;
    admin.tenant("acme", "starter").await;
    let ends = admin.show("acme").await["trialEndsAt"].clone();
    let changed = admin.subscribe("acme", json!({"plan": "enterprise", "billingCycle": "yearly"})).await.expect(200).json;
    assert_eq!((&changed["status"], &changed["plan"], &changed["trialEndsAt"]), (&json!("trial"), &json!("enterprise"), &ends));
    assert!(admin.invoices("acme").await.is_empty());
    admin.advance("14d").await;
    assert_eq!(admin.invoices("acme").await[0]["amountMinor"], 499_000);
    admin.tenant("globex", "starter").await;
    let free = admin.subscribe("globex", json!({"plan": "free"})).await.expect(200).json;
    assert_eq!((&free["status"], admin.invoices("globex").await.len()), (&json!("active"), 0));
}

#[tokio::test]
async fn a_quote_charges_what_the_preview_said_for_ten_minutes_and_for_that_change_only() {
    let admin = subscribed(catalogue(), "starter", "monthly").await;
    admin.move_to("2027-10-31T23:55:00Z").await;
    let quote = async |body: Value| {
        let path = "/admin/tenants/acme/subscription?dryRun=true";
        admin.call("PUT", path, body, &[]).await.expect(200).json["quote"].as_str().unwrap().to_owned()
    };
    let first = quote(json!({"plan": "pro"})).await;
    // Over midnight the days left are one less: without the quote it would be 31.61.
    admin.move_to("2027-11-01T00:04:59Z").await;
    admin.subscribe("acme", json!({"plan": "enterprise", "quote": first})).await.expect(422).pointers(&["/quote"]);
    admin.subscribe("acme", json!({"plan": "pro", "quote": format!("{first}x")})).await.expect(422).pointers(&["/quote"]);
    admin.subscribe("acme", json!({"plan": "pro", "quote": first})).await.expect(200);
    assert_eq!(admin.invoices("acme").await[1]["amountMinor"], 3387);
    admin.subscribe("acme", json!({"plan": "pro", "quote": first})).await.expect(422).pointers(&["/quote"]);
    let late = quote(json!({"plan": "enterprise"})).await;
    admin.advance("10m").await;
    admin.advance("1s").await;
    let error = admin.subscribe("acme", json!({"plan": "enterprise", "quote": late})).await.expect(422).pointers(&["/quote"]);
    assert_eq!(error.json["errors"][0]["code"], "expired");
}

#[tokio::test]
async fn add_ons_are_prorated_like_plans_and_raise_limits() {
    let admin = subscribed(catalogue(), "starter", "monthly").await;
    admin.move_to("2027-10-31T00:00:00Z").await;
    let body = json!({"plan": "starter", "addOns": [{"name": "seats", "quantity": 2}]});
    let bought = admin.subscribe("acme", body).await.expect(200).json;
    assert_eq!((&bought["limits"]["maxUsers"], &bought["addOns"][0]["priceMonthly"]), (&json!(30), &json!(12.0)));
    assert_eq!(amounts(&admin.invoices("acme").await[1]), lines(&[("proration", 1161)]), "24.00 × 15 ÷ 31");
    let fewer = admin.subscribe("acme", json!({"plan": "starter", "addOns": []})).await.expect(200).json;
    assert_eq!((&fewer["limits"]["maxUsers"], &fewer["pendingChange"]["addOns"]), (&json!(30), &json!([])));
    admin.subscribe("acme", json!({"plan": "starter", "addOns": [{"name": "seats", "quantity": 1}]})).await.expect(200);
    admin.move_to("2027-11-15T00:00:00Z").await;
    assert_eq!(amounts(&admin.invoices("acme").await[2]), lines(&[("subscription", 2900), ("addon", 1200)]));
    assert_eq!(admin.show("acme").await["limits"]["maxUsers"], 20);
    let wrong = json!({"plan": "starter", "addOns": [{"name": "seat"}, {"name": "seats", "quantity": 0}]});
    admin.subscribe("acme", wrong).await.expect(422).pointers(&["/addOns/0/name", "/addOns/1/quantity"]);
}

#[tokio::test]
async fn what_is_agreed_with_one_tenant_holds_for_its_plan_and_for_nobody_else() {
    let admin = subscribed(catalogue(), "pro", "monthly").await;
    admin.tenant("globex", "pro").await;
    let overrides = json!({"priceMonthlyMinor": 15_000, "limits": {"maxUsers": 500, "maxStorage": null}});
    let wrong = json!({"priceMonthlyMinor": -1, "priceYearlyMinor": 1_000_000_000_001_i64});
    let pointers = ["/overrides/priceMonthlyMinor", "/overrides/priceYearlyMinor"];
    admin.subscribe("acme", json!({"plan": "pro", "overrides": wrong})).await.expect(422).pointers(&pointers);
    for (wrong, pointer) in [
        (json!({"overrides": {"priceMonthly": 50}}), "/overrides/priceMonthly"),
        (json!({"overrides": {"limits": {"maxUser": 1}}}), "/overrides/limits/maxUser"),
        (json!({"addOns": [{"name": "seats", "count": 2}]}), "/addOns/0/count"),
    ] {
        let mut body = wrong;
        body["plan"] = json!("pro");
        admin.subscribe("acme", body).await.expect(422).pointers(&[pointer]);
    }
    let agreed = admin.subscribe("acme", json!({"plan": "pro", "overrides": overrides})).await.expect(200).json;
    assert_eq!((&agreed["limits"]["maxUsers"], &agreed["limits"]["maxStorage"]), (&json!(500), &Value::Null));
    assert_eq!(admin.show("globex").await["limits"]["maxUsers"], 50);
    assert_eq!(amounts(&admin.invoices("acme").await[1]), lines(&[("proration", -9900), ("proration", 15_000)]));
    admin.move_to("2027-11-15T00:00:00Z").await;
    assert_eq!(amounts(&admin.invoices("acme").await[2]), lines(&[("subscription", 15_000)]));
    let other = admin.subscribe("acme", json!({"plan": "enterprise"})).await.expect(200).json;
    assert_eq!((&other["overrides"], &other["limits"]["maxUsers"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_lower_price_that_is_agreed_waits_for_the_next_period_and_limits_that_it_raises_do_not() {
    let admin = subscribed(catalogue(), "pro", "monthly").await;
    admin.subscribe("acme", json!({"plan": "pro", "overrides": {"limits": {"maxUsers": 500}}})).await.expect(200);
    let overrides = json!({"priceMonthlyMinor": 5_000, "limits": {"maxUsers": 60, "maxProjects": 1_000}});
    let agreed = admin.subscribe("acme", json!({"plan": "pro", "overrides": overrides})).await.expect(200).json;
    let limits = |tenant: &Value| (tenant["limits"]["maxUsers"].clone(), tenant["limits"]["maxProjects"].clone());
    assert_eq!(limits(&agreed), (json!(500), json!(1_000)), "what was paid for stays");
    assert_eq!(agreed["pendingChange"]["overrides"]["priceMonthlyMinor"], 5_000);
    admin.move_to("2027-11-15T00:00:00Z").await;
    assert_eq!(limits(&admin.show("acme").await), (json!(60), json!(1_000)));
    assert_eq!(amounts(&admin.invoices("acme").await[1]), lines(&[("subscription", 5_000)]));
}

#[tokio::test]
async fn what_is_paid_by_the_year_is_compared_by_the_year() {
    let admin = subscribed(catalogue(), "pro", "yearly").await;
    let agree = async |month: i64, year: i64| {
        let overrides = json!({"priceMonthlyMinor": month, "priceYearlyMinor": year});
        admin.subscribe("acme", json!({"plan": "pro", "billingCycle": "yearly", "overrides": overrides})).await.expect(200).json
    };
    assert_eq!(agree(50_000, 50_000).await["pendingChange"]["overrides"]["priceYearlyMinor"], 50_000, "less, though a month would be more");
    assert_eq!(agree(100, 150_000).await["pendingChange"], Value::Null, "more, though a month would be less");
    assert_eq!(admin.invoices("acme").await.len(), 2);
}

#[tokio::test]
async fn the_audit_log_tells_which_pending_change_another_one_has_undone() {
    let admin = subscribed(catalogue(), "pro", "monthly").await;
    admin.subscribe("acme", json!({"plan": "starter"})).await.expect(200);
    admin.subscribe("acme", json!({"plan": "enterprise"})).await.expect(200);
    let row = admin.get("/admin/audit?action=subscription.changed&limit=1").await.expect(200).json["data"][0].take();
    assert_eq!((&row["before"]["pendingChange"]["plan"], &row["after"]["pendingChange"]), (&json!("starter"), &Value::Null));
    assert_eq!((&row["before"]["plan"], &row["after"]["plan"]), (&json!("pro"), &json!("enterprise")));
}

#[tokio::test]
async fn by_second_a_change_is_charged_to_the_second() {
    let mut config = catalogue();
    config.billing.proration = Proration::Second;
    let admin = subscribed(config, "starter", "monthly").await;
    admin.move_to("2027-10-31T12:00:00Z").await;
    admin.subscribe("acme", json!({"plan": "pro"})).await.expect(200);
    // 14.5 of 31 days: 29.00 → 13.56, 99.00 → 46.31.
    assert_eq!(amounts(&admin.invoices("acme").await[1]), lines(&[("proration", -1356), ("proration", 4631)]));
}

#[tokio::test]
async fn a_preview_says_what_the_new_limits_would_do_to_what_is_used() {
    let admin = subscribed(catalogue(), "pro", "monthly").await;
    admin.post("/admin/tenants/acme/usage", json!({"meter": "users", "value": 12})).await.expect(200);
    let preview = admin.call("PUT", "/admin/tenants/acme/subscription?dryRun=true", json!({"plan": "starter"}), &[]).await.expect(200).json;
    assert_eq!(preview["wouldExceed"], json!([{"resource": "users", "limit": 10, "used": 12}]));
}
