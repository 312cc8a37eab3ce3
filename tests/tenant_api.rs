//! The tenant API: what a tenant may know of itself, with a key on its own hosts and on api hosts, without on the admin
//! listener.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::gateway::send;
use crate::support::wire::Wire;
use crate::support::{Answer, TestGateway, Upstream, tenant};

const ACME: &str = "acme.example.localhost";
const API: &str = "api.example.localhost";

/// The members of `answer` are at least those of the product's description.
#[track_caller]
fn is_usage(answer: &Answer, calls: u64) {
    let document = answer.json();
    let usage = &document["usage"];
    assert_eq!(usage["apiCalls"], calls, "{document}");
    assert_eq!((&usage["storage"], &usage["activeUsers"]), (&json!(0), &json!(0)), "{document}");
    assert!(usage["bandwidth"].is_u64(), "{document}");
    let limits = json!({"maxUsers": 50, "maxProjects": 100, "maxStorage": 107374182400_u64, "maxApiCalls": 100000,
                        "maxBandwidth": 1099511627776_u64});
    assert_eq!(document["limits"], limits);
}

#[tokio::test]
async fn with_a_key_a_tenant_learns_of_itself_and_each_question_counts_as_a_call() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme").plan("pro").with("name", "Acme Corp")).tenant(tenant("globex"));
    let gateway = gateway.start().await;
    let created = gateway.admin(Method::GET, "/admin/tenants/acme", Value::Null).await.json();
    let (key, other) = (gateway.key("acme", json!({})).await, gateway.key("globex", json!({})).await);
    let (own, api) = (gateway.h2(ACME).await, gateway.h2(API).await);

    let told = own.get(ACME, "/api/tenant", &[("x-api-key", &key)]).await.expect(200);
    assert_eq!(told.header("content-type"), "application/json");
    let document = told.json();
    for member in ["id", "name", "plan", "config"] {
        assert_eq!(document[member], created[member], "{document}");
    }
    let again = api.get(API, "/api/tenant", &[("authorization", &format!("Bearer {key}"))]).await.expect(200);
    assert_eq!(again.json(), document);
    is_usage(&own.get(ACME, "/api/usage", &[("x-api-key", &key)]).await.expect(200), 2);
    let last = api.get(API, "/api/usage", &[("x-api-key", &key), ("x-tenant-id", "acme")]).await.expect(200);
    is_usage(&last, 3);
    let usage = gateway.usage("acme").await;
    assert_eq!(usage["apiCalls"], 4, "{usage}");
    let handed_on = told.body.len() + again.body.len() + last.body.len();
    assert!(usage["bandwidth"].as_u64().unwrap() > handed_on as u64, "{usage}");

    for (key, status, code) in
        [(None, 401, "unauthenticated"), (Some("gh_live_wrong"), 401, "unauthenticated"), (Some(&*other), 403, "tenant_mismatch")]
    {
        let fields: Vec<_> = key.iter().map(|key| ("x-api-key", *key)).collect();
        own.get(ACME, "/api/tenant", &fields).await.expect(status).code(code);
        own.get(ACME, "/api/usage", &fields).await.expect(status).code(code);
    }
    api.get(API, "/api/tenant", &[]).await.expect(401).code("unauthenticated");
    assert_eq!(gateway.usage("acme").await["apiCalls"], 4);
    assert!(origin.seen().is_empty());
}

#[tokio::test]
async fn everything_else_under_its_path_belongs_to_the_app() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let key = gateway.key("acme", json!({})).await;
    for (method, path) in [
        (Method::POST, "/api/tenant"),
        (Method::PUT, "/api/usage"),
        (Method::DELETE, "/api/tenant"),
        (Method::OPTIONS, "/api/usage"),
        (Method::GET, "/api/tenants"),
        (Method::GET, "/api/usage/daily"),
        (Method::GET, "/api"),
        (Method::GET, "/tenant"),
    ] {
        let answer = send(gateway.request(method.clone(), "acme", path)).await.expect(200).json();
        assert_eq!((&answer["method"], &answer["target"]), (&method.as_str().into(), &path.into()));
    }
    let head = send(gateway.request(Method::HEAD, "acme", "/api/tenant").header("x-api-key", &key)).await.expect(200);
    assert_eq!((head.header("content-type"), head.body.len()), ("application/json", 0));
    let query = send(gateway.request(Method::GET, "acme", "/api/tenant?x=1").header("x-api-key", &key)).await.expect(200);
    assert_eq!(query.json()["slug"], "acme");
}

#[tokio::test]
async fn it_can_be_moved_or_turned_off() {
    let origin = Upstream::echoing().start().await;
    for (prefix, asked, of_the_app) in [("", None, "/api/tenant"), ("/_gatehouse", Some("/_gatehouse/tenant"), "/api/tenant")] {
        let toml = format!("[tenancy]\ntenant_api = \"{prefix}\"");
        let gateway = TestGateway::to(&origin).plaintext().toml(&toml).tenant(tenant("acme")).start().await;
        let answer = gateway.get("acme", of_the_app).await.expect(200).json();
        assert_eq!(answer["target"], of_the_app, "{prefix:?}");
        if let Some(path) = asked {
            gateway.get("acme", path).await.expect(401).code("unauthenticated");
        }
    }
}

#[tokio::test]
async fn on_the_admin_listener_the_operator_names_the_tenant() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).plaintext().tenant(tenant("acme").plan("pro")).tenant(tenant("globex")).start().await;
    let id = gateway.admin(Method::GET, "/admin/tenants/acme", Value::Null).await.json()["id"].as_str().unwrap().to_owned();
    gateway.get("acme", "/").await.expect(200);
    let ask = async |path: &str, fields: &str| {
        Wire::to(gateway.admin).await.ask(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")).await
    };
    for name in [&id, "acme"] {
        let told = ask("/api/tenant", &format!("X-Tenant-Id: {name}\r\n")).await.expect(200).json();
        assert_eq!((&told["id"], &told["plan"]), (&json!(id), &json!("pro")));
        is_usage(&ask("/api/usage", &format!("x-tenant-id: {name}\r\n")).await.expect(200), 1);
    }
    ask("/api/tenant", "X-Tenant-Id: nobody\r\n").await.expect(404).code("tenant_not_found");
    ask("/api/tenant", "").await.expect(400).code("bad_request");
    ask("/api/usage", "X-Tenant-Id: acme\r\nX-Tenant-Id: globex\r\n").await.expect(400).code("bad_request");
    gateway.admin(Method::POST, "/admin/tenants/acme/suspend", json!({"reason": "unpaid"})).await.expect(200);
    ask("/api/tenant", "X-Tenant-Id: acme\r\n").await.expect(403).code("tenant_suspended");
}
