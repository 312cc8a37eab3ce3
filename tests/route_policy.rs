//! Routes ask for a feature or a role, whatever spelling of the path a client chooses.

use reqwest::Method;
use serde_json::json;

use crate::support::{TestGateway, Upstream, tenant};

const HOST: &str = "acme.example.localhost";
const ROUTES: &str = r#"
[[route]]
path = "/api/analytics/*"
methods = ["GET"]
feature = "advancedAnalytics"

[[route]]
path = "/open/*"

[[route]]
path = "/export"
feature = "advancedAnalytics"
roles = ["owner", "admin"]

[[route]]
path = "/owners/*"
roles = ["owner", "admin"]
"#;

#[tokio::test]
async fn no_spelling_of_a_path_slips_past_its_policy_and_others_are_free() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme")).start().await;
    let mut wire = gateway.tls(HOST).await;
    for target in [
        "/api/analytics/x",
        "/api/analytics/",
        "/api/analytics",
        "/api/analytics/x?y=/open/",
        "//api//analytics//x",
        "/api/./analytics/x",
        "/open/../api/analytics/x",
        "/api/analytics/../analytics/x",
        "/%61pi/analytics/x",
        "/api%2fanalytics%2Fx",
        "/api/analytics;v=1/x",
        "/api;a=b/analytics/x",
        "/api/%2e/analytics/x",
        "/open/%2e%2e/api/analytics/x",
        "/../api/analytics/x",
        // Some apps resolve nothing and serve the first part.
        "/api/analytics/x/../../../open",
        "/api/analytics/%2e%2e/%2e%2e/open",
        "/api/analytics/..%2f..%2fopen",
        "/api/analytics/..;/open",
        // Others do not look at case.
        "/API/Analytics/x",
        "https://acme.example.localhost/api/analytics/x",
    ] {
        let answer = wire.ask(format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        answer.expect(403).code("feature_disabled");
    }
    // Some apps do not look at the case of a method either.
    for method in ["get", "Get", "head"] {
        wire.ask(format!("{method} /api/analytics/x HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await.expect(403).code("feature_disabled");
    }
    assert!(origin.seen().is_empty());
    for (method, target) in [
        ("POST", "/api/analytics/x"),
        ("GET", "/api/analyticsx"),
        ("GET", "/api/other/../x"),
        ("GET", "/open/api/analytics/x"),
        ("GET", "/api%252fanalytics/x"),
        ("GET", "/exports"),
        ("GET", "/?/api/analytics/x"),
    ] {
        let answer = wire.ask(format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        assert_eq!(answer.expect(200).json()["target"], target, "the path is passed on as it came");
    }
    for method in [Method::HEAD, Method::GET] {
        crate::support::gateway::send(gateway.request(method, "acme", "/api/analytics/x")).await.expect(403);
    }
}

#[tokio::test]
async fn a_feature_that_is_switched_on_opens_its_route_on_open_connections_too() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    let (acme, globex) = (gateway.h2(HOST).await, gateway.h2("globex.example.localhost").await);
    let (path, flag) = ("/api/analytics/x", "/admin/tenants/acme/features/advancedAnalytics");
    acme.get(HOST, path, &[]).await.expect(403).code("feature_disabled");
    gateway.admin(Method::PUT, flag, json!({"enabled": true})).await.expect(200);
    acme.get(HOST, path, &[]).await.expect(200);
    globex.get("globex.example.localhost", path, &[]).await.expect(403).code("feature_disabled");
    gateway.admin(Method::DELETE, flag, json!(null)).await.expect(200);
    acme.get(HOST, path, &[]).await.expect(403).code("feature_disabled");
}

#[tokio::test]
async fn a_route_with_roles_wants_a_key_that_has_one_of_them() {
    let origin = Upstream::echoing().start().await;
    let analytics = json!({"features": {"advancedAnalytics": true}});
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme").with("config", analytics)).tenant(tenant("globex"));
    let gateway = gateway.start().await;
    let owner = gateway.key("acme", json!({"roles": ["viewer", "owner"]})).await;
    let viewer = gateway.key("acme", json!({"roles": ["viewer"]})).await;
    let none = gateway.key("acme", json!({})).await;
    let stranger = gateway.key("globex", json!({"roles": ["owner"]})).await;
    let h2 = gateway.h2(HOST).await;
    for path in ["/owners/x", "/owners", "/owners/", "/export", "/export/", "//export", "/owners;x/../export"] {
        let ask = async |key: &str| h2.get(HOST, path, &[("x-api-key", key)]).await;
        ask(&owner).await.expect(200);
        ask(&viewer).await.expect(403).code("forbidden");
        ask(&none).await.expect(403).code("forbidden");
        ask(&stranger).await.expect(403).code("tenant_mismatch");
        ask("gh_live_wrong").await.expect(401).code("unauthenticated");
        ask("of-the-app").await.expect(401).code("unauthenticated");
        h2.get(HOST, path, &[]).await.expect(401).code("unauthenticated");
        h2.get(HOST, path, &[("authorization", "Bearer eyJ.a.b"), ("x-user-roles", "owner")]).await.expect(401).code("unauthenticated");
    }
    // The feature is asked for first: whoever has the role is told what is missing.
    let key = gateway.key("globex", json!({"roles": ["admin"]})).await;
    let globex = gateway.h2("globex.example.localhost").await;
    globex.get("globex.example.localhost", "/export", &[("x-api-key", &key)]).await.expect(403).code("feature_disabled");
}
