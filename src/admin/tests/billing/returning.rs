//! How tenants come back, and what they find as it was.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};

use crate::admin::tests::support::Admin;

async fn act(admin: &Admin, verb: &str) -> Value {
    admin.post(&format!("/admin/tenants/acme/{verb}"), Value::Null).await.expect(200).json
}

async fn cancel_later(admin: &Admin) {
    admin.post("/admin/tenants/acme/cancel", json!({"atPeriodEnd": true})).await.expect(200);
}

/// Deletes it, lets so much time pass, and restores it.
async fn be_away(admin: &Admin, time: &str) -> Value {
    let id = admin.call("DELETE", "/admin/tenants/acme", Value::Null, &[]).await.expect(200).json["id"].clone();
    admin.advance(time).await;
    admin.post(&format!("/admin/tenants/{}/restore", id.as_str().unwrap()), Value::Null).await.expect(200).json
}

async fn invoice(admin: &Admin, verb: &str) {
    let id = admin.invoices("acme").await.pop().unwrap()["id"].as_str().unwrap().to_owned();
    admin.post(&format!("/admin/invoices/{id}/{verb}"), Value::Null).await.expect(200);
}

async fn on(plan: &str, days: &str) -> Admin {
    let admin = Admin::start().await;
    admin.tenant("acme", plan).await;
    admin.advance(days).await;
    admin
}

#[tokio::test]
async fn who_was_suspended_for_a_debt_and_deleted_is_active_again_once_it_has_paid() {
    let admin = on("pro", "36d").await;
    assert_eq!(admin.show("acme").await["status"], "suspended");
    assert_eq!(be_away(&admin, "1d").await["status"], "suspended");
    invoice(&admin, "pay").await;
    assert_eq!(admin.show("acme").await["status"], "active");
}

#[tokio::test]
async fn a_debt_that_was_given_up_brings_a_tenant_back_when_it_is_paid_all_the_same() {
    // Given up while it is past due, and after it was suspended.
    for days in ["29d", "36d"] {
        let admin = on("pro", days).await;
        invoice(&admin, "uncollectible").await;
        assert_eq!(admin.show("acme").await["status"], "suspended", "{days}");
        invoice(&admin, "pay").await;
        assert_eq!(admin.show("acme").await["status"], "active", "{days}");
    }
}

#[tokio::test]
async fn a_move_to_a_plan_without_a_price_ends_the_trial_and_the_cancellation_to_its_end() {
    let admin = on("pro", "3d").await;
    cancel_later(&admin).await;
    let free = admin.subscribe("acme", json!({"plan": "free"})).await.expect(200).json;
    assert_eq!((&free["status"], &free["cancelAtPeriodEnd"]), (&json!("active"), &json!(false)));
    let admin = on("pro", "3d").await;
    act(&admin, "suspend").await;
    admin.subscribe("acme", json!({"plan": "free"})).await.expect(200);
    assert_eq!(act(&admin, "activate").await["status"], "active");
}

#[tokio::test]
async fn what_was_to_happen_with_the_period_happens_though_the_tenant_was_deleted_and_restored() {
    let admin = on("pro", "14d").await;
    invoice(&admin, "pay").await;
    admin.subscribe("acme", json!({"plan": "free"})).await.expect(200);
    assert_eq!(be_away(&admin, "1d").await["pendingChange"]["plan"], "free");
    admin.advance("31d").await;
    assert_eq!(admin.show("acme").await["plan"], "free");

    let admin = on("pro", "14d").await;
    invoice(&admin, "pay").await;
    cancel_later(&admin).await;
    let back = be_away(&admin, "1d").await;
    assert_eq!((&back["status"], &back["cancelAtPeriodEnd"]), (&json!("active"), &json!(true)));
    admin.advance("10d").await;
    let back = be_away(&admin, "25d").await;
    assert_eq!((&back["status"], &back["cancelAtPeriodEnd"]), (&json!("canceled"), &json!(false)), "it has ended meanwhile");
    assert_eq!(admin.invoices("acme").await.len(), 1);
}

#[tokio::test]
async fn who_was_suspended_is_so_again_after_delete_and_restore_and_for_the_same_reason() {
    let admin = Admin::start().await;
    admin.tenant("acme", "pro").await;
    admin.post("/admin/tenants/acme/suspend", json!({"reason": "asked for it"})).await.expect(200);
    admin.call("DELETE", "/admin/tenants/acme", json!({"reason": "left"}), &[]).await.expect(200);
    let restored = admin.post("/admin/tenants/acme/restore", Value::Null).await.expect(200).json;
    assert_eq!((&restored["status"], &restored["statusReason"]), (&json!("suspended"), &json!("asked for it")));
}

#[tokio::test]
async fn why_a_subscription_was_to_end_is_told_when_it_ends() {
    let admin = Admin::start().await;
    admin.tenant("acme", "pro").await;
    admin.post("/admin/tenants/acme/cancel", json!({"atPeriodEnd": true, "reason": "moves on"})).await.expect(200);
    admin.advance("15d").await;
    let ended = admin.get("/admin/tenants/acme").await.expect(200).json;
    assert_eq!((&ended["status"], &ended["statusReason"]), (&json!("canceled"), &json!("canceled to the end of the trial: moves on")));
}
