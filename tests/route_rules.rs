//! What a route may ask for beside features and roles: a plan, a size, a rate of its own; and how it is explained.

use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::gateway::send;
use crate::support::{TestGateway, Upstream, tenant};

const ROUTES: &str = r#"
[[route]]
path = "/exports/*"
plans = ["pro", "enterprise"]

[[route]]
path = "/avatars/*"
methods = ["PUT", "POST"]
max_body = "1KiB"

[[route]]
path = "/search"
rate = { per_second = 1, burst = 2 }

[[route]]
path = "/admin/*"
auth = "required"
roles = ["owner"]
scopes = ["admin"]
"#;

#[tokio::test]
async fn a_route_for_other_plans_is_closed_until_the_plan_changes() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme").plan("free")).tenant(tenant("globex").plan("pro"));
    let gateway = gateway.start().await;
    let refused = gateway.get("acme", "/exports/1").await.expect(403).code("feature_disabled");
    assert!(refused.json()["detail"].as_str().unwrap().contains("pro, enterprise"));
    gateway.get("globex", "/exports/1").await.expect(200);
    gateway.admin(Method::PUT, "/admin/tenants/acme/subscription", json!({"plan": "pro"})).await.expect(200);
    gateway.get("acme", "/exports/1").await.expect(200);
}

#[tokio::test]
async fn a_body_larger_than_its_route_takes_is_refused_whether_it_says_so_or_not() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme")).start().await;
    let put = |path: &str, size: usize| gateway.request(Method::PUT, "acme", path).body("x".repeat(size));
    send(put("/avatars/1", 1024)).await.expect(200);
    send(put("/avatars/1", 1025)).await.expect(413).code("body_too_large");
    send(put("/others/1", 1025)).await.expect(200);
    let pieces = futures_util::stream::iter((0..5).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 300])));
    let unsaid = gateway.request(Method::PUT, "acme", "/avatars/1").body(reqwest::Body::wrap_stream(pieces));
    send(unsaid).await.expect(413).code("body_too_large");
}

#[tokio::test]
async fn a_routes_own_rate_is_of_each_tenant_and_leaves_other_paths_alone() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    let begun = std::time::Instant::now();
    let mut allowed = 0;
    // It would take as many seconds as requests for none to be one too many.
    let refused = loop {
        let answer = gateway.get("acme", "/search").await;
        if answer.status != 200 {
            break answer.expect(429).code("rate_limited");
        }
        allowed += 1;
        assert!(allowed < 100, "none is refused");
    };
    // Two at once, and one for each second that has passed meanwhile.
    let most = 2 + begun.elapsed().as_secs() + 1;
    assert!((2..=most).contains(&allowed), "{allowed}");
    assert_ne!(refused.header("retry-after"), "0");
    gateway.get("acme", "/").await.expect(200);
    gateway.get("globex", "/search").await.expect(200);
}

fn explain(arguments: &[&str]) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("my.toml");
    std::fs::write(&file, ROUTES).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_gatehouse"))
        .args(["route", "explain", "-o", "json", "-c"])
        .arg(&file)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn it_is_explained_which_route_holds_and_why_others_do_not() {
    let told = explain(&["PUT", "https://acme.example.com/avatars/1?x=/admin/"]);
    assert_eq!(told["readings"].as_array().unwrap().len(), 1);
    assert_eq!(told["readings"][0]["holds"]["route"], 2);
    assert!(told["readings"][0]["holds"]["asks"][0].as_str().unwrap().contains("1024 octets"));
    assert_eq!(told["readings"][0]["skipped"], json!([{"route": 1, "path": "/exports/*", "why": "its path is another"}]));
    assert_eq!(explain(&["put", "/avatars/1"])["readings"][0]["holds"]["route"], 2, "whatever the case");
    let told = explain(&["GET", "/avatars/1"]);
    assert_eq!(told["readings"][0]["holds"], Value::Null);
    assert!(told["readings"][0]["skipped"][1]["why"].as_str().unwrap().contains("GET is none of its methods PUT, POST"));
    let told = explain(&["GET", "/x/..%2fadmin/1"]);
    let holds: Vec<&Value> = told["readings"].as_array().unwrap().iter().map(|reading| &reading["holds"]["route"]).collect();
    assert!(holds.contains(&&json!(4)) && holds.contains(&&Value::Null), "{told}");
}
