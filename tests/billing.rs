//! Billing as an integrator sees it: requests through the gateway, and billing time that is moved.

use http::{Method, Version};
use serde_json::{Value, json};

use crate::support::{TestGateway, Upstream, tenant};

const DAY: i64 = 86_400_000;

/// A gateway whose billing time stands at the first of January 2027.
async fn gateway(upstream: &crate::support::upstream::RunningUpstream, toml: &str) -> TestGateway {
    let gateway = TestGateway::to(upstream).set("dev.test_clock", "true").toml(toml).start().await;
    move_to(&gateway, START).await;
    gateway
}

/// 2027-01-01T00:00:00Z.
const START: i64 = 1_798_761_600_000;

async fn move_to(gateway: &TestGateway, to: i64) {
    gateway.admin(Method::POST, "/admin/clock", json!({"to": to})).await.expect(200);
}

async fn show(gateway: &TestGateway) -> Value {
    gateway.admin(Method::GET, "/admin/tenants/acme", Value::Null).await.expect(200).json()
}

/// The tenant's invoices, oldest first.
async fn invoices(gateway: &TestGateway) -> Vec<Value> {
    let mut all =
        gateway.admin(Method::GET, "/admin/tenants/acme/invoices", Value::Null).await.expect(200).json().as_array().unwrap().clone();
    all.reverse();
    all
}

async fn pay(gateway: &TestGateway, invoice: &Value) {
    let path = format!("/admin/invoices/{}/pay", invoice["id"].as_str().unwrap());
    gateway.admin(Method::POST, &path, json!({"reference": "transfer"})).await.expect(200);
}

#[tokio::test]
async fn each_state_holds_from_the_next_request_on_also_on_open_connections_and_over_a_restart() {
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = gateway(&origin, "").await;
    gateway.create(&tenant("acme").plan("pro")).await.expect(201);
    let mut open = gateway.connect(Version::HTTP_2, "acme").await;
    // Trial, first period, past due, suspended: at the very moments that the dates say.
    for (at, status, answer) in [(0, "trial", 200), (14, "active", 200), (28, "past_due", 200), (35, "suspended", 403)] {
        move_to(&gateway, START + at * DAY).await;
        assert_eq!(show(&gateway).await["status"], status, "after {at} days");
        open.get("/").await.expect(answer);
        if at > 0 {
            move_to(&gateway, START + at * DAY + 1).await;
            assert_eq!(show(&gateway).await["status"], status);
        }
    }
    gateway.signal("KILL");
    gateway.ended().await;
    gateway.start_again().await;
    let clock = gateway.admin(Method::POST, "/admin/clock", json!({"advance": "0s"})).await.expect(200).json();
    assert_eq!(clock["now"], START + 35 * DAY + 1, "billing time is where it was");
    gateway.get("acme", "/").await.expect(403).code("tenant_suspended");
    pay(&gateway, &invoices(&gateway).await[0]).await;
    gateway.get("acme", "/").await.expect(200);
    assert_eq!(show(&gateway).await["status"], "active");
}

#[tokio::test]
async fn what_is_metered_beyond_the_limit_is_what_is_billed() {
    let origin = Upstream::replying("0123456789").start().await;
    let plan = r#"
        [plans.metered]
        price_monthly = 10
        price_yearly = 100
        max_api_calls = 3
        max_bandwidth = 50
        overage = { api_calls = { price = 0.10, per = 2 }, bandwidth = { price = 0.01, per = 10 } }
    "#;
    let gateway = gateway(&origin, plan).await;
    gateway.create(&tenant("acme").plan("metered")).await.expect(201);
    // In the trial nothing is billed.
    for _ in 0..5 {
        gateway.get("acme", "/").await.expect(200);
    }
    move_to(&gateway, START + 14 * DAY + DAY / 2).await;
    for _ in 0..10 {
        gateway.get("acme", "/").await.expect(200);
    }
    let first = invoices(&gateway).await.remove(0);
    pay(&gateway, &first).await;
    let period = first["period"]["end"].as_i64().unwrap();
    move_to(&gateway, period - DAY).await;
    for _ in 0..4 {
        gateway.get("acme", "/").await.expect(200);
    }
    move_to(&gateway, period).await;
    let billed = invoices(&gateway).await.remove(1);
    let overage = |resource: &str| {
        let lines = billed["items"].as_array().unwrap();
        let line = lines.iter().find(|line| line["inputs"]["resource"] == resource).unwrap_or_else(|| panic!("no {resource}: {billed}"));
        (line["inputs"]["used"].as_u64().unwrap(), line["amountMinor"].as_i64().unwrap())
    };
    // Seven beyond three on one day, one on the other: eight, four packages. The trial has used the 50 octets of January, so that all
    // 100 lie beyond them; the 40 of February do not.
    assert_eq!(overage("apiCalls"), (8, 40));
    assert_eq!(overage("bandwidth"), (100, 10));
    let explained = format!("/admin/invoices/{}/explain", billed["id"].as_str().unwrap());
    assert_eq!(gateway.admin(Method::GET, &explained, Value::Null).await.expect(200).json()["agrees"], true);
}

#[tokio::test]
async fn quotas_go_with_billing_time_and_it_does_not_go_back() {
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = gateway(&origin, &tenant("acme").calls_per_day(2).plan_toml()).await;
    gateway.create(&tenant("acme").calls_per_day(2)).await.expect(201);
    for day in 0..3 {
        move_to(&gateway, START + day * DAY).await;
        gateway.get("acme", "/").await.expect(200);
        gateway.get("acme", "/").await.expect(200);
        gateway.get("acme", "/").await.expect(429).code("quota_exceeded");
        let usage = gateway.usage("acme").await;
        assert_eq!((&usage["apiCallsToday"], &usage["apiCalls"]), (&json!(2), &json!(2 * (day + 1))));
    }
    let back = gateway.admin(Method::POST, "/admin/clock", json!({"to": START})).await.expect(422).json();
    assert_eq!(back["errors"][0]["pointer"], "/to");
    gateway.admin(Method::POST, "/admin/clock", json!({"advance": "a while"})).await.expect(422);
    gateway.admin(Method::POST, "/admin/clock", json!({"advance": "1d", "to": START})).await.expect(422);
    gateway.admin(Method::POST, "/admin/clock", json!({})).await.expect(422);
    gateway.set("dev.test_clock", "false");
    assert!(gateway.stop().await.success());
    gateway.start_again().await;
    gateway.admin(Method::POST, "/admin/clock", json!({"advance": "1d"})).await.expect(403).code("forbidden");
}

#[tokio::test]
async fn an_invoice_is_a_page_a_pdf_and_an_explanation() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = gateway(&origin, "[billing.seller]\nname = \"Émile & Söhne\"").await;
    gateway.create(&tenant("acme").plan("pro").with("billing", json!({"name": "Акме <b>"}))).await.expect(201);
    move_to(&gateway, START + 14 * DAY).await;
    let invoice = invoices(&gateway).await.remove(0);
    let path = format!("/admin/invoices/{}", invoice["id"].as_str().unwrap());
    let page = gateway.admin(Method::GET, &format!("{path}/html"), Value::Null).await.expect(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let text = page.text();
    assert!(text.contains("INV-000001") && text.contains("Émile &amp; Söhne") && text.contains("Акме &lt;b&gt;"), "{text}");
    let pdf = gateway.admin(Method::GET, &format!("{path}/pdf"), Value::Null).await.expect(200);
    assert_eq!(pdf.header("content-type"), "application/pdf");
    assert!(pdf.header("content-disposition").contains("INV-000001.pdf"));
    let explained = gateway.admin(Method::GET, &format!("{path}/explain"), Value::Null).await.expect(200).json();
    assert_eq!((&explained["agrees"], &explained["lines"][0]["because"]), (&json!(true), &json!("pro v1: 99.00 × 1 = 99.00")));
    gateway.admin(Method::GET, "/admin/invoices/inv_0", Value::Null).await.expect(404).code("not_found");
}

#[tokio::test]
async fn the_currency_can_be_another_one_until_something_is_agreed_in_it() {
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).start().await;
    gateway.stop().await;
    gateway.set("billing.currency", "JPY");
    gateway.start_again().await;
    assert_eq!(gateway.admin(Method::GET, "/admin/plans", Value::Null).await.json()["data"][1]["currency"], "JPY");
    gateway.create(&tenant("acme").plan("pro")).await.expect(201);
    gateway.stop().await;
    gateway.set("billing.currency", "EUR");
    let (code, told) = gateway.fails_to_start().await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("billing.currency is EUR") && told.contains("Set it back to JPY"), "{told}");
    gateway.set("billing.currency", "JPY");
    gateway.start_again().await;
    assert_eq!(show(&gateway).await["plan"], "pro");
}

#[tokio::test]
async fn a_plan_that_was_withdrawn_stays_so_through_a_kill() {
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).start().await;
    let mut team = gateway.admin(Method::GET, "/admin/plans/pro", Value::Null).await.expect(200).json()["versions"][0].clone();
    team["name"] = json!("team");
    gateway.admin(Method::POST, "/admin/plans", team).await.expect(201);
    gateway.create(&tenant("acme").plan("team")).await.expect(201);
    gateway.admin(Method::DELETE, "/admin/plans/team", Value::Null).await.expect(200);
    gateway.signal("KILL");
    gateway.ended().await;
    gateway.start_again().await;
    gateway.create(&tenant("globex").plan("team")).await.expect(422);
    let version = gateway.admin(Method::GET, "/admin/plans/team", Value::Null).await.json()["versions"][0].clone();
    assert_eq!((&version["isOffered"], &version["tenants"]), (&json!(false), &json!(1)));
    gateway.get("acme", "/").await.expect(200);
}
