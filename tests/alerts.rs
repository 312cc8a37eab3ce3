//! 80 % and 100 % of a limit are told in the audit log: each once in its window, none left out.

use http::{Method, Version};
use serde_json::{Value, json};

use crate::support::{TestGateway, Upstream, eventually, tenant, within_one_day};

/// What was told of a tenant, in order: resource and threshold.
async fn told(gateway: &TestGateway, slug: &str) -> Vec<(String, u64)> {
    let path = format!("/admin/audit?tenant={slug}&action=usage.threshold_reached&limit=500");
    let page = gateway.admin(Method::GET, &path, Value::Null).await.expect(200).json();
    let of = |row: &Value| (row["after"]["resource"].as_str().unwrap().to_owned(), row["after"]["threshold"].as_u64().unwrap());
    let mut told: Vec<_> = page["data"].as_array().unwrap().iter().map(of).collect();
    told.sort();
    told
}

async fn eventually_told(gateway: &TestGateway, slug: &str, wanted: &[(&str, u64)]) {
    let mut wanted: Vec<_> = wanted.iter().map(|(resource, threshold)| ((*resource).to_owned(), *threshold)).collect();
    wanted.sort();
    eventually("it is told", || async {
        let told = told(gateway, slug).await;
        assert!(told.len() <= wanted.len(), "{told:?}");
        (told == wanted).then_some(())
    })
    .await;
}

/// How often the counters were folded.
async fn folds(gateway: &TestGateway) -> u64 {
    let text = gateway.admin(Method::GET, "/metrics", Value::Null).await.expect(200).text();
    let line = text.lines().find(|line| line.starts_with("gatehouse_fold_duration_seconds_count")).expect("a count of folds");
    line.rsplit(' ').next().and_then(|count| count.parse().ok()).expect("a number")
}

#[tokio::test]
async fn each_threshold_of_calls_is_told_once_also_over_restarts() {
    within_one_day().await;
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme").calls_per_day(10)).tenant(tenant("globex")).start().await;
    let mut connection = gateway.connect(Version::HTTP_2, "acme").await;
    for _ in 0..7 {
        connection.get("/").await.expect(200);
    }
    let begun = folds(&gateway).await;
    eventually("two folds", || async { (folds(&gateway).await >= begun + 2).then_some(()) }).await;
    assert_eq!(told(&gateway, "acme").await, []);
    connection.get("/").await.expect(200);
    eventually_told(&gateway, "acme", &[("apiCalls", 80)]).await;
    connection.get("/").await.expect(200);
    connection.get("/").await.expect(200);
    connection.get("/").await.expect(429);
    // Killed before the next fold can have told it.
    gateway.signal("KILL");
    gateway.ended().await;
    gateway.start_again().await;
    eventually_told(&gateway, "acme", &[("apiCalls", 80), ("apiCalls", 100)]).await;
    for _ in 0..2 {
        gateway.get("acme", "/").await.expect(429);
        let begun = folds(&gateway).await;
        eventually("two folds", || async { (folds(&gateway).await >= begun + 2).then_some(()) }).await;
        eventually_told(&gateway, "acme", &[("apiCalls", 80), ("apiCalls", 100)]).await;
        assert!(gateway.stop().await.success());
        gateway.start_again().await;
    }
    assert_eq!(told(&gateway, "globex").await, []);
    let path = "/admin/audit?tenant=acme&action=usage.threshold_reached";
    let row = gateway.admin(Method::GET, path, Value::Null).await.expect(200).json()["data"][0].clone();
    let today =
        gateway.admin(Method::GET, "/admin/tenants/acme/usage/daily", Value::Null).await.expect(200).json()["data"][0]["date"].clone();
    assert_eq!((&row["actor"], &row["after"]["limit"], &row["after"]["window"]), (&json!("system"), &json!(10), &today), "{row}");
}

#[tokio::test]
async fn one_request_that_crosses_two_thresholds_tells_both() {
    within_one_day().await;
    let origin = Upstream::replying("123456789012345").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme").calls_per_day(1).bytes_per_month(15)).start().await;
    gateway.get("acme", "/").await.expect(200);
    eventually_told(&gateway, "acme", &[("apiCalls", 80), ("apiCalls", 100), ("bandwidth", 80), ("bandwidth", 100)]).await;
}

#[tokio::test]
async fn a_hard_cap_that_is_reached_is_told_once_beside_the_limit() {
    within_one_day().await;
    let origin = Upstream::replying("hello").start().await;
    let acme = tenant("acme").calls_per_day(5).overage("{ api_calls = { price = 1, per = 1, hard_cap = 8 } }");
    let gateway = TestGateway::to(&origin).tenant(acme).start().await;
    for _ in 0..8 {
        gateway.get("acme", "/").await.expect(200);
    }
    let caps = async || {
        let path = "/admin/audit?tenant=acme&action=usage.hard_cap_reached";
        gateway.admin(Method::GET, path, Value::Null).await.expect(200).json()["data"].as_array().unwrap().clone()
    };
    let rows = eventually("it is told", || async { Some(caps().await).filter(|told| !told.is_empty()) }).await;
    assert_eq!((rows.len(), &rows[0]["after"]["limit"], &rows[0]["after"]["used"]), (1, &json!(8), &json!(8)));
    gateway.get("acme", "/").await.expect(429);
    let begun = folds(&gateway).await;
    eventually("two folds", || async { (folds(&gateway).await >= begun + 2).then_some(()) }).await;
    assert_eq!(caps().await.len(), 1);
    let thresholds = told(&gateway, "acme").await;
    assert_eq!(thresholds, [("apiCalls".to_owned(), 80), ("apiCalls".to_owned(), 100)]);
}

#[tokio::test]
async fn a_gauge_that_was_over_a_threshold_for_a_moment_is_told() {
    let origin = Upstream::replying("hello").start().await;
    let acme = tenant("acme").most("max_users", 5).most("max_storage", 1000).most("max_projects", 0);
    let gateway = TestGateway::to(&origin).tenant(acme).start().await;
    let path = "/admin/tenants/acme/usage";
    for value in [400, 850, 10] {
        gateway.admin(Method::POST, path, json!({"meter": "storage", "value": value})).await.expect(200);
    }
    eventually_told(&gateway, "acme", &[("storage", 80)]).await;
    gateway.admin(Method::POST, path, json!({"meter": "users", "delta": 6})).await.expect(200);
    gateway.admin(Method::POST, path, json!({"meter": "storage", "value": 900})).await.expect(200);
    eventually_told(&gateway, "acme", &[("storage", 80), ("users", 80), ("users", 100)]).await;
}
