//! What clients try leaves a trace: every refusal is counted by its code, and some are told with their reason however many come.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::gateway::send;
use crate::support::{TestGateway, Upstream, eventually, tenant};

/// Wrong keys that are shown.
const TRIES: usize = 400;

#[tokio::test]
async fn a_flood_of_wrong_keys_is_counted_whole_and_told_in_a_few_lines() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).set("listen.workers", "1").tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    for _ in 0..TRIES {
        let wrong = gateway.request(Method::GET, "acme", "/secret").header("x-api-key", "gh_live_wrong");
        send(wrong).await.expect(401).code("unauthenticated");
    }
    let told = |gateway: &TestGateway| -> Vec<Value> {
        let lines = gateway.log();
        let told = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        told.filter(|line| line["message"] == "a request was refused").collect()
    };
    let lines = eventually("it is told", || async { Some(told(&gateway)).filter(|lines| !lines.is_empty()) }).await;
    let line = &lines[0];
    assert_eq!((&line["code"], &line["tenant"], &line["path"]), (&json!("unauthenticated"), &json!("acme"), &json!("/secret")), "{line}");
    assert!(line["detail"].as_str().unwrap().contains("not one that was issued"), "{line}");
    assert!(line["client"].is_string() && line["request_id"].is_string() && !line.to_string().contains("gh_live_wrong"), "{line}");
    assert!(told(&gateway).len() < TRIES / 4, "{} lines", told(&gateway).len());

    let key = gateway.key("globex", json!({})).await;
    send(gateway.request(Method::GET, "acme", "/").header("x-api-key", &key)).await.expect(403).code("tenant_mismatch");
    let metrics = gateway.admin(Method::GET, "/metrics", Value::Null).await.expect(200).text();
    let count = |code: &str| {
        let line = metrics.lines().find(|line| line.starts_with("gatehouse_refusals_total") && line.contains(&format!("\"{code}\"")));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_default()
    };
    assert_eq!((count("unauthenticated"), count("tenant_mismatch")), (TRIES as f64, 1.0));
}
