//! The operator's systems hear of what happens: signed, again until they have it, never at a private address unless that is
//! allowed.

mod billing;
mod delivery;
mod domains;
mod life;
mod receiver;
mod refused;
mod secure;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::gateway::GatewayBuilder;
use crate::support::{TestGateway, eventually};

/// Two secrets; the second is the one that comes when the first goes.
const SECRETS: [&str; 2] = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="];

/// A gateway without an app; plain http to this machine is allowed.
fn gateway() -> GatewayBuilder {
    TestGateway::to_url("http://127.0.0.1:9")
        .plaintext()
        .set("events.allow_private", "true")
        .set("events.retry", r#"["50ms", "50ms", "50ms"]"#)
}

/// An endpoint of its configuration.
fn endpoint(name: &str, url: &str, more: &str) -> String {
    format!("[events.endpoint.{name}]\nurl = \"{url}\"\nsecret = \"{}\"\n{more}\n", SECRETS[0])
}

async fn make(gateway: &TestGateway, slug: &str) -> String {
    let body = json!({"name": slug, "slug": slug, "plan": "pro"});
    let made = gateway.admin(Method::POST, "/admin/tenants", body).await.expect(201).json();
    made["id"].as_str().unwrap().to_owned()
}

async fn list(gateway: &TestGateway, query: &str) -> Vec<Value> {
    let page = gateway.admin(Method::GET, &format!("/admin/events?limit=500&{query}"), Value::Null).await.expect(200).json();
    page["data"].as_array().unwrap().clone()
}

async fn show(gateway: &TestGateway, id: &str) -> Value {
    gateway.admin(Method::GET, &format!("/admin/events/{id}"), Value::Null).await.expect(200).json()
}

/// Waits until the event of this type stands in one way; what it is then.
async fn until(gateway: &TestGateway, kind: &str, state: &str) -> Value {
    let found =
        eventually(&format!("{kind} is {state}"), || async { list(gateway, &format!("type={kind}&state={state}")).await.pop() }).await;
    show(gateway, found["id"].as_str().unwrap()).await
}

/// How one endpoint stands.
async fn standing(gateway: &TestGateway, name: &str) -> Value {
    let page = gateway.admin(Method::GET, "/admin/events/endpoints", Value::Null).await.expect(200).json();
    page["data"].as_array().unwrap().iter().find(|endpoint| endpoint["name"] == name).expect("the endpoint").clone()
}
