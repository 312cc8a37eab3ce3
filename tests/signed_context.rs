//! The signed context: an app that nobody here wrote the verifying half of proves that a request came through the gate, and one that
//! did not is found out.

use std::path::Path;
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::gateway::send;
use crate::support::peers::{self, Server};
use crate::support::{TestGateway, Upstream, tenant};

/// The examples, each with what it is started with. They ask for the keys where the test says.
fn examples() -> Vec<(&'static str, Command)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/context");
    let mut python = Command::new(peers::python(&["PyJWT==2.15.1", "cryptography==50.0.2"]));
    python.arg(folder.join("verify.py"));
    let programs = peers::node("jose@6.2.18");
    // A module finds its packages beside itself.
    let beside = programs.ancestors().nth(2).unwrap().join("verify.mjs");
    std::fs::copy(folder.join("verify.mjs"), &beside).unwrap();
    let mut node = Command::new("node");
    node.arg(beside);
    vec![("python", python), ("node", node)]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_prove_that_a_request_came_through_the_gate() {
    for (name, mut command) in tokio::task::spawn_blocking(examples).await.unwrap() {
        // The app needs the address of the admin API and the gateway that of the app: the gateway begins with another app.
        let other = Upstream::echoing().start().await;
        let gateway = TestGateway::to(&other).set("context.signed", "true").tenant(tenant("acme").plan("pro")).start().await;
        let jwks = format!("http://{}/.well-known/jwks.json", gateway.admin);
        let app = Server::start(command.env("GATEHOUSE_JWKS", &jwks).env("PORT", "0")).await;
        gateway.admin(Method::PATCH, "/admin/tenants/acme", json!({"upstream": app.url()})).await.expect(200);
        gateway.admin(Method::PUT, "/admin/tenants/acme/features/beta", json!(true)).await.expect(200);
        let told = gateway.get("acme", "/").await.expect(200).json();
        let id = gateway.admin(Method::GET, "/admin/tenants/acme", Value::Null).await.json()["id"].clone();
        assert_eq!((&told["tenant"], &told["slug"], &told["plan"]), (&id, &json!("acme"), &json!("pro")), "{name}");
        assert_eq!(told["features"], json!(["beta"]), "{name}");
        assert!(told["user"].is_null(), "{name}: {told}");
        // Past the gate, with nothing or with a context of somebody's own making.
        let direct = reqwest::Client::new();
        assert_eq!(direct.get(app.url()).send().await.unwrap().status(), 401, "{name}");
        let forged = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJnYXRlaG91c2UiLCJhdWQiOiJhcHAiLCJ0ZW5hbnQiOiJhY21lIn0.";
        assert_eq!(direct.get(app.url()).header("x-tenant-context", forged).send().await.unwrap().status(), 401, "{name}");
    }
}

#[tokio::test]
async fn no_spelling_of_a_clients_own_context_reaches_the_app() {
    let origin = Upstream::echoing().start().await;
    for signed in ["false", "true"] {
        let gateway = TestGateway::to(&origin).set("context.signed", signed).tenant(tenant("acme")).start().await;
        let mut wire = gateway.tls("acme.example.localhost").await;
        for name in ["X-Tenant-Context", "x_tenant_context", "X.Tenant-Context", "X-TENANT_CONTEXT"] {
            let seen =
                wire.ask(format!("GET / HTTP/1.1\r\nHost: acme.example.localhost\r\n{name}: forged\r\n\r\n")).await.expect(200).json();
            assert!(!seen.to_string().contains("forged"), "{name}: {seen}");
            let said = seen["headers"]["x-tenant-context"].as_array().map_or(0, Vec::len);
            assert_eq!(said, usize::from(signed == "true"), "{seen}");
        }
    }
}

#[tokio::test]
async fn keys_outlive_a_restart_and_are_published_to_everyone_who_can_ask() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).set("context.signed", "true").set("admin.token", "a-token-for-tests");
    let mut gateway = gateway.start().await;
    let keys = async |gateway: &TestGateway| {
        let answer = send(reqwest::Client::new().get(format!("http://{}/.well-known/jwks.json", gateway.admin))).await.expect(200);
        assert!(answer.header("cache-control").contains("max-age"));
        answer.json()
    };
    let before = keys(&gateway).await;
    assert_eq!((&before["keys"][0]["kty"], &before["keys"][0]["crv"]), (&json!("OKP"), &json!("Ed25519")));
    assert_eq!(before["keys"][0].as_object().unwrap().keys().filter(|name| *name == "d").count(), 0, "nothing private");
    gateway.stop().await;
    gateway.start_again().await;
    assert_eq!(keys(&gateway).await, before);
}

#[tokio::test]
async fn without_a_signature_there_are_no_keys() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    gateway.admin(Method::GET, "/.well-known/jwks.json", Value::Null).await.expect(404);
    let seen = gateway.get("acme", "/").await.expect(200).json();
    assert!(seen["headers"]["x-tenant-context"].is_null());
}
