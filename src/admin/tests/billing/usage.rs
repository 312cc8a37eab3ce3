//! Usage beyond limits: billed in arrears, in the period of its day, with what came late on the next invoice; and tax on all of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};

use crate::admin::tests::support::{Admin, config};
use crate::config::{Config, TaxRate};
use crate::model::plan::{OveragePrice, Pricing};
use crate::model::{Day, Millis, Money, Overage, Plan, Tier, Totals};
use crate::store::UsageRow;

const GIGABYTE: u64 = 1_000_000_000;

fn billed() -> Config {
    let mut config = config();
    let tiers = vec![Tier { up_to: Some(2), price: Money(100) }, Tier { up_to: None, price: Money(60) }];
    // Nobody pays in these tests, and nobody is suspended for it.
    config.billing.due_days = 3_000;
    let pro = config.plans.get_mut("pro").unwrap();
    pro.overage = Overage::Billed {
        api_calls: Some(OveragePrice { pricing: Pricing::Package(Money(50)), per: 1_000, hard_cap: None }),
        bandwidth: Some(OveragePrice { pricing: Pricing::Graduated(tiers), per: 1_000_000_000, hard_cap: None }),
        storage: None,
    };
    config
}

/// Usage beyond the limits on a day, as an earlier process has folded it.
async fn used(admin: &Admin, writer: u64, day: &str, calls_over: u64, egress_over: u64) {
    let day = Millis(crate::admin::tests::support::millis(&format!("{day}T00:00:00Z"))).day();
    let tenant = admin.show("acme").await["id"].as_str().unwrap().parse().unwrap();
    let totals = Totals { calls_over, egress_over, ..Totals::default() };
    admin.tenants.store.add_usage(vec![UsageRow { writer, tenant, day: Day(day.0), totals }]).await.unwrap();
}

async fn subscribed(config: Config) -> Admin {
    let admin = Admin::with(config).await;
    admin.move_to("2027-10-01T12:00:00Z").await;
    admin.tenant("acme", "pro").await;
    admin.move_to("2027-10-15T12:00:00Z").await;
    admin
}

fn overages(invoice: &Value) -> Vec<(String, i64, u64)> {
    let items = invoice["items"].as_array().unwrap().iter().filter(|line| line["kind"] == "overage");
    let line = |line: &Value| {
        let inputs = &line["inputs"];
        (inputs["resource"].as_str().unwrap().to_owned(), line["amountMinor"].as_i64().unwrap(), inputs["used"].as_u64().unwrap())
    };
    items.map(line).collect()
}

#[tokio::test]
async fn usage_is_billed_in_the_period_in_which_its_day_ends() {
    let admin = subscribed(billed()).await;
    used(&admin, 1, "2027-10-14", 9_999, 0).await;
    used(&admin, 1, "2027-10-20", 1_500, 2_500_000_000).await;
    used(&admin, 1, "2027-11-14", 1, 500_000_001).await;
    used(&admin, 1, "2027-11-15", 7_000, 0).await;
    admin.move_to("2027-11-15T12:00:00Z").await;
    let second = admin.invoices("acme").await.remove(1);
    // 1,501 calls are two started packages; 3,000,000,001 octets are two at 1.00 and two at 0.60.
    assert_eq!(overages(&second), [("apiCalls".to_owned(), 100, 1_501), ("bandwidth".to_owned(), 320, 3_000_000_001)]);
    let explained = admin.get(&format!("/admin/invoices/{}/explain", second["id"].as_str().unwrap())).await.expect(200).json;
    assert!(explained["lines"].to_string().contains("graduated: 2 × 1.00 + 2 × 0.60 = 3.20"), "{explained}");
    assert_eq!(second["amountMinor"], 9900 + 420);
    admin.move_to("2027-12-15T12:00:00Z").await;
    let third = admin.invoices("acme").await.remove(2);
    assert_eq!(overages(&third), [("apiCalls".to_owned(), 350, 7_000)]);
}

#[tokio::test]
async fn usage_that_came_late_is_on_the_next_invoice_and_the_issued_one_stays() {
    let admin = subscribed(billed()).await;
    used(&admin, 1, "2027-10-20", 1_500, 0).await;
    admin.move_to("2027-11-15T12:00:00Z").await;
    let before = admin.invoices("acme").await.remove(1);
    used(&admin, 2, "2027-10-20", 600, 0).await;
    admin.move_to("2027-12-15T12:00:00Z").await;
    let invoices = admin.invoices("acme").await;
    assert_eq!(invoices[1], before);
    // 2,100 calls are three packages, of which two were billed.
    assert_eq!(overages(&invoices[2]), [("apiCalls".to_owned(), 50, 2_100)]);
    let explained = admin.get(&format!("/admin/invoices/{}/explain", invoices[2]["id"].as_str().unwrap())).await.expect(200).json;
    assert_eq!(explained["agrees"], true);
    let told = "per started 1000, package: 3 × 0.50, less what 1500 of them cost before, 2 × 0.50 = 0.50";
    assert!(explained["lines"].to_string().contains(told), "{explained}");
    admin.move_to("2028-01-15T12:00:00Z").await;
    assert!(overages(&admin.invoices("acme").await[3]).is_empty(), "once");
}

#[tokio::test]
async fn a_change_of_plan_splits_the_usage_of_its_day_between_both() {
    let mut config = billed();
    let mut other = config.plans["pro"].clone();
    (other.name, other.price_monthly) = ("plus".to_owned(), Money(19_900));
    let price = OveragePrice { pricing: Pricing::Package(Money(10)), per: 1_000, hard_cap: None };
    other.overage = Overage::Billed { api_calls: Some(price), bandwidth: None, storage: None };
    config.plans.insert("plus".to_owned(), other);
    let admin = subscribed(config).await;
    used(&admin, 1, "2027-10-20", 3_000, 0).await;
    used(&admin, 1, "2027-10-25", 2_000, 0).await;
    admin.move_to("2027-10-25T08:00:00Z").await;
    admin.subscribe("acme", json!({"plan": "plus"})).await.expect(200);
    used(&admin, 1, "2027-10-25", 2_500, 0).await;
    used(&admin, 1, "2027-10-26", 500, 0).await;
    admin.move_to("2027-11-15T12:00:00Z").await;
    let invoice = admin.invoices("acme").await.pop().unwrap();
    assert_eq!(overages(&invoice), [("apiCalls".to_owned(), 250, 5_000), ("apiCalls".to_owned(), 10, 1_000)]);
}

#[tokio::test]
async fn the_last_usage_is_billed_when_a_tenant_leaves() {
    let admin = subscribed(billed()).await;
    used(&admin, 1, "2027-10-15", 4_000, 0).await;
    admin.move_to("2027-10-15T18:00:00Z").await;
    let cancel = admin.post("/admin/tenants/acme/cancel", Value::Null).await.expect(200).json;
    assert_eq!(cancel["status"], "canceled");
    let last = admin.invoices("acme").await.remove(1);
    assert_eq!((overages(&last), &last["reason"]), (vec![("apiCalls".to_owned(), 200, 4_000)], &json!("end")));
    // Back within its period, what was billed is not billed again.
    admin.post("/admin/tenants/acme/activate", Value::Null).await.expect(200);
    used(&admin, 1, "2027-10-15", 5_000, 0).await;
    admin.move_to("2027-11-15T12:00:00Z").await;
    assert_eq!(overages(&admin.invoices("acme").await[2]), [("apiCalls".to_owned(), 50, 1_000)]);
}

/// The plan includes so many gigabytes, and bills so many cents for each one more.
fn bills_storage(plan: &mut Plan, included: u64, price: i64) {
    plan.limits.max_storage = Some(included * GIGABYTE);
    let price = OveragePrice { pricing: Pricing::Package(Money(price)), per: GIGABYTE, hard_cap: None };
    plan.overage = Overage::Billed { api_calls: None, bandwidth: None, storage: Some(price) };
}

fn billed_by_storage() -> Config {
    let mut config = billed();
    bills_storage(config.plans.get_mut("pro").unwrap(), 1, 10);
    config
}

async fn stores(admin: &Admin, gigabytes: u64) {
    let body = json!({"meter": "storage", "value": gigabytes * GIGABYTE});
    admin.post("/admin/tenants/acme/usage", body).await.expect(200);
}

#[tokio::test]
async fn each_plan_of_a_month_bills_what_was_first_beyond_the_limit_under_it() {
    let mut config = billed();
    let mut plus = config.plans["pro"].clone();
    (plus.name, plus.price_monthly) = ("plus".to_owned(), Money(19_900));
    bills_storage(&mut plus, 3, 5);
    bills_storage(config.plans.get_mut("pro").unwrap(), 1, 10);
    config.plans.insert("plus".to_owned(), plus);
    let admin = subscribed(config).await;
    let line = |cents: i64, gigabytes: u64| ("storage".to_owned(), cents, gigabytes * GIGABYTE);
    let over = async |month: &str| {
        let usage = admin.get(&format!("/admin/tenants/acme/usage?period={month}")).await.expect(200).json;
        usage["overage"]["storage"].as_u64().unwrap() / GIGABYTE
    };
    stores(&admin, 3).await;
    admin.move_to("2027-10-20T12:00:00Z").await;
    admin.subscribe("acme", json!({"plan": "plus"})).await.expect(200);
    stores(&admin, 6).await;
    stores(&admin, 5).await;
    admin.subscribe("acme", json!({"plan": "pro"})).await.expect(200);
    admin.move_to("2027-11-15T12:00:00Z").await;
    // Three beyond the limit of October: two of them since pro, one since plus.
    assert_eq!((overages(&admin.invoices("acme").await[2]), over("2027-10").await), (vec![line(20, 2), line(5, 1)], 3));
    // Less comes with the period, and nobody reports anything: what is stored is more than it includes at once.
    assert_eq!(over("2027-11").await, 4);
    admin.move_to("2027-12-15T12:00:00Z").await;
    assert_eq!((overages(&admin.invoices("acme").await[3]), over("2027-11").await), (vec![line(10, 2), line(20, 2)], 4));
    // Another cycle begins in the midst of a month of two plans.
    admin.subscribe("acme", json!({"plan": "plus", "billingCycle": "monthly"})).await.expect(200);
    admin.move_to("2027-12-20T12:00:00Z").await;
    stores(&admin, 8).await;
    admin.subscribe("acme", json!({"plan": "plus", "billingCycle": "yearly"})).await.expect(200);
    admin.move_to("2027-12-25T12:00:00Z").await;
    stores(&admin, 9).await;
    admin.post("/admin/tenants/acme/cancel", json!({})).await.expect(200);
    let last = admin.invoices("acme").await.pop().unwrap();
    assert_eq!((overages(&last), over("2027-12").await), (vec![line(40, 4), line(10, 2)], 6));
}

#[tokio::test]
async fn of_what_was_stored_in_a_trial_only_what_is_there_at_its_end_is_billed() {
    for (at_the_end, billed) in [(1, None), (6, Some(("storage".to_owned(), 50, 5 * GIGABYTE)))] {
        let mut config = billed_by_storage();
        config.billing.due_days = 3_000;
        let admin = Admin::with(config).await;
        admin.move_to("2027-10-01T12:00:00Z").await;
        admin.tenant("acme", "pro").await;
        stores(&admin, 20).await;
        stores(&admin, at_the_end).await;
        admin.move_to("2027-11-15T12:00:00Z").await;
        let found = overages(&admin.invoices("acme").await[1]);
        assert_eq!(found, billed.into_iter().collect::<Vec<_>>(), "{at_the_end} GB");
    }
}

#[tokio::test]
async fn the_storage_of_the_month_that_goes_on_is_billed_once_when_a_subscription_ends_with_its_period() {
    let admin = subscribed(billed_by_storage()).await;
    stores(&admin, 3).await;
    admin.post("/admin/tenants/acme/cancel", json!({"atPeriodEnd": true})).await.expect(200);
    admin.move_to("2027-11-10T12:00:00Z").await;
    stores(&admin, 5).await;
    admin.move_to("2027-11-15T12:00:00Z").await;
    let last = admin.invoices("acme").await.remove(1);
    assert_eq!((overages(&last), &last["reason"]), (vec![("storage".to_owned(), 60, 6_000_000_000)], &json!("end")));
    // Back in the same month: only what is more than before.
    admin.post("/admin/tenants/acme/activate", Value::Null).await.expect(200);
    stores(&admin, 6).await;
    admin.move_to("2027-12-15T12:00:00Z").await;
    assert_eq!(overages(&admin.invoices("acme").await[3]), [("storage".to_owned(), 10, 1_000_000_000)]);
}

#[tokio::test]
async fn tax_follows_the_customers_country_and_the_next_invoice_is_previewed() {
    let mut config = billed();
    let rate = |country: &str, parts_per_million, inclusive, reverse_charge| TaxRate {
        country: country.to_owned(),
        parts_per_million,
        inclusive,
        reverse_charge,
    };
    config.billing.tax = vec![rate("DE", 190_000, false, false), rate("FR", 200_000, false, true), rate("GB", 200_000, true, false)];
    let admin = subscribed(config).await;
    let billing = async |body: Value| admin.call("PATCH", "/admin/tenants/acme", json!({"billing": body}), &[]).await;
    billing(json!({"country": "de", "email": "nobody"})).await.expect(422).pointers(&["/billing/country", "/billing/email"]);
    billing(json!({"country": "UK"})).await.expect(422).pointers(&["/billing/country"]);
    billing(json!({"country": "FR", "vatId": "DE123456789"})).await.expect(422).pointers(&["/billing/vatId"]);
    let upcoming = async || admin.get("/admin/tenants/acme/invoices/upcoming").await.expect(200).json;
    for (party, amount, tax) in [
        (json!({"country": "DE", "name": "Acme GmbH"}), 9900 + 1881, 1881),
        (json!({"country": "FR", "vatId": null}), 9900 + 1980, 1980),
        (json!({"country": "FR", "vatId": "FR12345678901"}), 9900, 0),
        (json!({"country": "GB", "vatId": null}), 9900, 1650),
        (json!({"country": "US"}), 9900, 0),
        (json!({"country": "DE", "taxExempt": true}), 9900, 0),
    ] {
        billing(party.clone()).await.expect(200);
        let draft = upcoming().await;
        assert_eq!(
            (&draft["amountMinor"], &draft["taxMinor"], &draft["status"]),
            (&json!(amount), &json!(tax), &json!("draft")),
            "{party}"
        );
        assert_eq!((&draft["number"], &draft["customer"]["name"]), (&Value::Null, &json!("Acme GmbH")));
    }
    assert_eq!(admin.invoices("acme").await.len(), 1, "drafts are not kept");
}

#[tokio::test]
async fn what_is_taken_off_of_a_period_is_taxed_as_it_was_charged() {
    let mut config = config();
    config.billing.due_days = 3_000;
    config.billing.tax = vec![TaxRate { country: "DE".to_owned(), parts_per_million: 190_000, inclusive: false, reverse_charge: false }];
    let admin = Admin::with(config).await;
    admin.move_to("2027-10-01T12:00:00Z").await;
    let billing = async |body: Value| admin.call("PATCH", "/admin/tenants/acme", json!({"billing": body}), &[]).await.expect(200);
    // Of each tax line: what it is reckoned of, and what it adds.
    let taxes = async || {
        let invoice = admin.invoices("acme").await.pop().unwrap();
        let explained = admin.get(&format!("/admin/invoices/{}/explain", invoice["id"].as_str().unwrap())).await.expect(200).json;
        assert_eq!(explained["agrees"], true);
        let lines = invoice["items"].as_array().unwrap().iter().filter(|line| line["kind"] == "tax");
        lines.map(|line| (line["inputs"]["baseMinor"].as_i64().unwrap(), line["amountMinor"].as_i64().unwrap())).collect::<Vec<_>>()
    };
    admin.tenant("acme", "pro").await;
    admin.move_to("2027-10-15T12:00:00Z").await;
    assert_eq!(taxes().await, []);
    // 15 days of 31 are left: 47.90 are taken off, which had no tax; the year has one.
    admin.move_to("2027-10-31T12:00:00Z").await;
    billing(json!({"country": "DE"})).await;
    admin.subscribe("acme", json!({"plan": "pro", "billingCycle": "yearly"})).await.expect(200);
    assert_eq!(taxes().await, [(99_000, 18_810)]);
    // Without a tax from now on: what is taken off of the year is given back with its own.
    admin.move_to("2027-11-30T12:00:00Z").await;
    billing(json!({"country": "DE", "taxExempt": true})).await;
    admin.subscribe("acme", json!({"plan": "pro", "billingCycle": "monthly"})).await.expect(200);
    // 336 days of 366 of 990.00.
    assert_eq!(taxes().await, [(-90_885, -17_268), (9_900, 0)]);
}
