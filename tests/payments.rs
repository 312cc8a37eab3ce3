//! Invoices are collected through Stripe: once, whatever dies or fails on the way, and never against what the provider says.

mod configuration;
mod failing;
mod library;
mod localstripe;
mod lost;
mod webhooks;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::gateway::GatewayBuilder;
use crate::support::stripe::{KEY, SECRET};
use crate::support::upstream::RunningUpstream;
use crate::support::{Answer, TestGateway, eventually};

/// A gateway that collects by the API at `api`, with a clock that the test moves.
fn gateway(app: &RunningUpstream, api: &str) -> GatewayBuilder {
    TestGateway::to(app)
        .set("billing.provider", "stripe")
        .set("billing.stripe_api", api)
        .set("dev.test_clock", "true")
        .set("STRIPE_SECRET_KEY", KEY)
        .set("STRIPE_WEBHOOK_SECRET", SECRET)
}

/// Makes a tenant on pro, in its trial of 14 days.
async fn make(gateway: &TestGateway, slug: &str) {
    let body = json!({"name": slug, "slug": slug, "plan": "pro"});
    gateway.admin(Method::POST, "/admin/tenants", body).await.expect(201);
}

/// Collect from this.
async fn pay_with(gateway: &TestGateway, slug: &str, method: &str) -> Answer {
    let path = format!("/admin/tenants/{slug}/payment-method");
    gateway.admin(Method::PUT, &path, json!({"paymentMethod": method})).await
}

/// Moves billing time; all that was due has been done then.
async fn advance(gateway: &TestGateway, by: &str) {
    gateway.admin(Method::POST, "/admin/clock", json!({"advance": by})).await.expect(200);
}

async fn subscribe(gateway: &TestGateway, slug: &str, plan: &str) -> Answer {
    gateway.admin(Method::PUT, &format!("/admin/tenants/{slug}/subscription"), json!({"plan": plan})).await
}

async fn show(gateway: &TestGateway, slug: &str) -> Value {
    gateway.admin(Method::GET, &format!("/admin/tenants/{slug}"), Value::Null).await.expect(200).json()
}

/// All invoices, the newest first.
async fn invoices(gateway: &TestGateway, slug: &str) -> Vec<Value> {
    let listed = gateway.admin(Method::GET, &format!("/admin/tenants/{slug}/invoices"), Value::Null).await.expect(200).json();
    listed.as_array().unwrap().clone()
}

/// The tenant's status, its newest invoice's, and the codes of the attempts on it.
async fn stands(gateway: &TestGateway, slug: &str) -> (String, String, Vec<String>) {
    let tenant = show(gateway, slug).await["status"].as_str().unwrap().to_owned();
    let newest = invoices(gateway, slug).await.remove(0);
    let codes = newest["attempts"].as_array().unwrap().iter().map(|attempt| attempt["code"].as_str().unwrap_or("paid").to_owned());
    (tenant, newest["status"].as_str().unwrap().to_owned(), codes.collect())
}

fn like(tenant: &str, invoice: &str, codes: &[&str]) -> (String, String, Vec<String>) {
    (tenant.to_owned(), invoice.to_owned(), codes.iter().map(|code| (*code).to_owned()).collect())
}

/// Waits until a tenant stands in one way.
async fn until(gateway: &TestGateway, slug: &str, tenant: &str, invoice: &str, codes: &[&str]) {
    let wanted = like(tenant, invoice, codes);
    eventually(&format!("{slug} is {wanted:?}"), || async { (stands(gateway, slug).await == wanted).then_some(()) }).await;
}
