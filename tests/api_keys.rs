//! API keys: what they open, how one is replaced without anybody being cut off, and what is known of their use.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::gateway::send;
use crate::support::{Answer, TestGateway, Upstream, eventually, tenant};

const ROUTES: &str = r#"
[[route]]
path = "/reports/*"
scopes = ["reports:read"]

[[route]]
path = "/members/*"
auth = "required"
"#;

async fn with_key(gateway: &TestGateway, slug: &str, path: &str, key: &str) -> Answer {
    send(gateway.request(Method::GET, slug, path).header("x-api-key", key)).await
}

async fn first_key(gateway: &TestGateway, slug: &str) -> Value {
    gateway.admin(Method::GET, &format!("/admin/tenants/{slug}/keys"), Value::Null).await.expect(200).json()["data"][0].clone()
}

#[tokio::test]
async fn a_key_says_what_it_is_for_and_is_recognised_by_both_of_its_ends() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme")).start().await;
    for (mode, prefix) in [("live", "gh_live_"), ("test", "gh_test_")] {
        let body = json!({"name": mode, "mode": mode});
        let issued = gateway.admin(Method::POST, "/admin/tenants/acme/keys", body).await.expect(201).json();
        let secret = issued["secret"].as_str().unwrap();
        assert!(secret.starts_with(prefix) && secret.len() == 57, "{issued}");
        assert_eq!(issued["mode"], mode);
        assert!(secret.starts_with(issued["prefix"].as_str().unwrap()) && secret.ends_with(issued["lastFour"].as_str().unwrap()));
        with_key(&gateway, "acme", "/members/1", secret).await.expect(200);
    }
    let answer = gateway.admin(Method::POST, "/admin/tenants/acme/keys", json!({"name": "x", "mode": "real"})).await.expect(422);
    assert_eq!(answer.json()["errors"][0]["pointer"], "/mode");
}

#[tokio::test]
async fn a_route_asks_for_a_scope_or_only_for_somebody_who_is_known() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme")).start().await;
    let reader = gateway.key("acme", json!({"scopes": ["reports:read", "x"]})).await;
    let other = gateway.key("acme", json!({"scopes": ["reports:write", "reports:*"]})).await;
    with_key(&gateway, "acme", "/reports/1", &reader).await.expect(200);
    let refused = with_key(&gateway, "acme", "/reports/1", &other).await.expect(403).code("forbidden");
    assert!(refused.json()["detail"].as_str().unwrap().contains("reports:read"), "{}", refused.text());
    gateway.get("acme", "/reports/1").await.expect(401).code("unauthenticated");
    gateway.get("acme", "/members/1").await.expect(401).code("unauthenticated");
    with_key(&gateway, "acme", "/members/1", &other).await.expect(200);
    gateway.get("acme", "/").await.expect(200);
}

#[tokio::test]
async fn a_rotated_key_goes_on_for_its_overlap_and_the_new_one_works_at_once() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme")).start().await;
    let old = gateway.key("acme", json!({"name": "CI", "roles": ["admin"], "scopes": ["reports:read"]})).await;
    let id = first_key(&gateway, "acme").await["id"].as_str().unwrap().to_owned();
    let rotate = format!("/admin/tenants/acme/keys/{id}/rotate");
    let issued = gateway.admin(Method::POST, &rotate, json!({"overlap": "1h"})).await.expect(201).json();
    assert_eq!((&issued["name"], &issued["roles"], &issued["scopes"]), (&json!("CI"), &json!(["admin"]), &json!(["reports:read"])));
    assert_eq!(issued["rotatedFrom"], id.as_str());
    let new = issued["secret"].as_str().unwrap();
    for key in [&old, new] {
        with_key(&gateway, "acme", "/reports/1", key).await.expect(200);
    }
    let ends = first_key(&gateway, "acme").await["expiresAt"].as_i64().unwrap() - issued["createdAt"].as_i64().unwrap();
    assert_eq!(ends, 3_600_000);
    // At once, and then it is over.
    gateway.admin(Method::POST, &rotate, json!({"overlap": "0s"})).await.expect(201);
    with_key(&gateway, "acme", "/reports/1", &old).await.expect(401).code("unauthenticated");
    with_key(&gateway, "acme", "/reports/1", new).await.expect(200);
    gateway.admin(Method::POST, &rotate, Value::Null).await.expect(422);
    for wrong in ["91d", "soon", ""] {
        gateway.admin(Method::POST, &rotate, json!({"overlap": wrong})).await.expect(422);
    }
    let rows = gateway.admin(Method::GET, "/admin/audit?action=key.rotated", Value::Null).await.json();
    assert_eq!(rows["data"].as_array().unwrap().len(), 2);
    assert!(!rows.to_string().contains(&new[12..50]) && rows["data"][0]["after"]["new"]["hash"].is_null(), "{rows}");
}

#[tokio::test]
async fn the_key_in_the_place_of_another_lives_as_long_as_that_was_to_live() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let day = 86_400_000_i64;
    let end = i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap() + 90 * day;
    gateway.key("acme", json!({"expiresAt": end})).await;
    let id = first_key(&gateway, "acme").await["id"].as_str().unwrap().to_owned();
    let rotate = format!("/admin/tenants/acme/keys/{id}/rotate");
    let lives = |issued: &Value| issued["expiresAt"].as_i64().unwrap() - issued["createdAt"].as_i64().unwrap();
    // Also where its end has come nearer by an earlier rotation.
    for overlap in ["1h", "30m"] {
        let issued = gateway.admin(Method::POST, &rotate, json!({"overlap": overlap})).await.expect(201).json();
        assert!((lives(&issued) - 90 * day).abs() < 60_000, "{issued}");
    }
    let issued = gateway.admin(Method::POST, &rotate, json!({"expiresAt": end - day})).await.expect(201).json();
    assert_eq!(issued["expiresAt"], end - day);
}

#[tokio::test]
async fn the_last_use_of_a_key_is_known_at_once_and_after_a_restart() {
    let origin = Upstream::echoing().start().await;
    let mut gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    let key = gateway.key("acme", json!({})).await;
    let unused = first_key(&gateway, "acme").await;
    assert_eq!(unused["lastUsedAt"], Value::Null);
    with_key(&gateway, "acme", "/", &key).await.expect(200);
    let used = first_key(&gateway, "acme").await["lastUsedAt"].as_i64().unwrap();
    assert!(used >= unused["createdAt"].as_i64().unwrap());
    // On another tenant's host it is not used, but tried.
    with_key(&gateway, "globex", "/", &key).await.expect(403).code("tenant_mismatch");
    gateway.stop().await;
    gateway.start_again().await;
    assert_eq!(first_key(&gateway, "acme").await["lastUsedAt"], used);
}

#[tokio::test]
async fn a_revoked_key_is_refused_on_the_next_request_of_an_open_connection() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme")).start().await;
    let key = gateway.key("acme", json!({})).await;
    let id = first_key(&gateway, "acme").await["id"].as_str().unwrap().to_owned();
    with_key(&gateway, "acme", "/members/1", &key).await.expect(200);
    gateway.admin(Method::DELETE, &format!("/admin/tenants/acme/keys/{id}"), Value::Null).await.expect(200);
    with_key(&gateway, "acme", "/members/1", &key).await.expect(401).code("unauthenticated");
    gateway.admin(Method::POST, &format!("/admin/tenants/acme/keys/{id}/rotate"), Value::Null).await.expect(404);
}

#[tokio::test]
async fn two_credentials_that_differ_are_none() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme")).start().await;
    let (one, other) = (gateway.key("acme", json!({})).await, gateway.key("acme", json!({})).await);
    let request = gateway.request(Method::GET, "acme", "/").header("x-api-key", &one);
    send(request.header("authorization", format!("Bearer {other}"))).await.expect(401).code("unauthenticated");
    let request = gateway.request(Method::GET, "acme", "/").header("x-api-key", &one);
    let seen = send(request.header("authorization", format!("Bearer {one}"))).await.expect(200).json();
    eventually("no key is passed on", || async { (!seen.to_string().contains("gh_")).then_some(()) }).await;
}
