//! Moves between states, features and keys.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};

use super::support::{Admin, NOW, config};
use crate::access::key_hash;
use crate::model::Millis;

#[tokio::test]
async fn moves_follow_the_table_and_repeat_without_effect() {
    let admin = Admin::start().await;
    admin.tenant("acme", "pro").await;
    let act = async |verb: &str| admin.call("POST", &format!("/admin/tenants/acme/{verb}"), Value::Null, &[]).await;
    let answer = admin.post("/admin/tenants/acme/suspend", json!({"reason": "Payment failed"})).await.expect(200);
    assert_eq!((&answer.json["status"], &answer.json["statusReason"]), (&json!("suspended"), &json!("Payment failed")));
    let again = act("suspend").await.expect(200);
    assert_eq!((&again.headers["etag"], &again.json["statusReason"]), (&answer.headers["etag"], &json!("Payment failed")));
    let info = admin.call("GET", "/api/tenant", Value::Null, &[("x-tenant-id", "acme")]).await.expect(403).code("tenant_suspended");
    assert_eq!(info.json["error"], "Tenant suspended");
    assert_eq!(act("activate").await.expect(200).json["status"], "trial");
    assert_eq!(act("activate").await.expect(200).json["status"], "active");
    act("restore").await.expect(409).code("invalid_transition");
    admin.post("/admin/tenants/acme/suspend", json!({"atPeriodEnd": true})).await.expect(422).pointers(&["/atPeriodEnd"]);
    assert_eq!(act("cancel").await.expect(200).json["status"], "canceled");
    act("suspend").await.expect(409).code("invalid_transition");
    admin.call("GET", "/api/tenant", Value::Null, &[("x-tenant-id", "acme")]).await.expect(404);
    assert_eq!(act("activate").await.expect(200).json["status"], "active");
}

#[tokio::test]
async fn a_deleted_tenant_keeps_its_names_for_a_while_and_can_be_restored_until_they_are_free() {
    let admin = Admin::start().await;
    let body = json!({"name": "A", "slug": "acme", "plan": "free", "customDomain": "acme.com"});
    let id = admin.post("/admin/tenants", body.clone()).await.expect(201).json["id"].as_str().unwrap().to_owned();
    let deleted = admin.call("DELETE", "/admin/tenants/acme", Value::Null, &[]).await.expect(200).json;
    assert_eq!((&deleted["status"], &deleted["deletedAt"]), (&json!("deleted"), &json!(NOW.0)));
    let missing = admin.get("/admin/tenants/acme").await.expect(404).code("tenant_not_found").json;
    assert!(missing["detail"].as_str().unwrap().contains(&id), "{missing}");
    assert_eq!(admin.get("/admin/audit?tenant=acme&action=tenant.deleted").await.expect(200).json["data"][0]["tenantId"], json!(id));
    admin.get(&format!("/admin/tenants/{id}")).await.expect(200);
    assert_eq!(admin.get("/admin/tenants").await.json["data"], json!([]));
    assert_eq!(admin.get("/admin/tenants?status=deleted").await.json["data"][0]["id"], json!(id));
    let patch = admin.call("PATCH", &format!("/admin/tenants/{id}"), json!({"name": "B"}), &[]).await;
    patch.expect(409).code("invalid_transition");
    let restore = format!("/admin/tenants/{id}/restore");
    admin.post("/admin/tenants/acme/restore", Value::Null).await.expect(200);
    admin.call("DELETE", "/admin/tenants/acme", Value::Null, &[]).await.expect(200);
    for after in ["0s", "29d", "23h"] {
        admin.advance(after).await;
        admin.post("/admin/tenants", body.clone()).await.expect(409).code("slug_taken").pointers(&["/slug", "/customDomain"]);
        let restored = admin.post(&restore, Value::Null).await.expect(200).json;
        assert_eq!((&restored["status"], &restored["deletedAt"]), (&json!("active"), &Value::Null));
        admin.get("/admin/tenants/acme").await.expect(200);
        admin.call("DELETE", "/admin/tenants/acme", Value::Null, &[]).await.expect(200);
    }
    admin.advance("30d").await;
    admin.post("/admin/tenants", body).await.expect(201);
    admin.post(&restore, Value::Null).await.expect(409).code("invalid_transition");
    admin.get(&format!("/admin/tenants/{id}")).await.expect(200);
}

#[tokio::test]
async fn config_is_merged_and_flags_are_set_one_by_one() {
    let admin = Admin::start().await;
    admin.tenant("acme", "pro").await;
    let path = "/admin/tenants/acme/config";
    let patch = async |body: Value| admin.call("PATCH", path, body, &[]).await;
    patch(json!({"features": {"a": true, "b": false}, "settings": {"locale": "en-US", "x": {"y": 1}}})).await.expect(200);
    let merged =
        patch(json!({"features": {"a": null}, "branding": {"logo": "https://x/y.png", "extra": 1}, "settings": {"x": {"y": null}}}))
            .await
            .expect(200)
            .json;
    let expected = json!({"branding": {"primaryColor": "#3B82F6", "logo": "https://x/y.png", "extra": 1}, "features": {"b": false},
        "settings": {"locale": "en-US", "x": {}}});
    assert_eq!(merged, expected);
    patch(json!({"featurs": {}, "features": {"c": "yes"}, "branding": 5})).await.expect(422).pointers(&[
        "/branding",
        "/features/c",
        "/featurs",
    ]);
    for at in ["/admin/tenants/acme/features/beta", "/admin/tenants/acme/config/features/beta"] {
        assert_eq!(admin.call("PUT", at, json!({"enabled": true}), &[]).await.expect(200).json["features"]["beta"], true);
        assert_eq!(admin.call("PUT", at, json!(false), &[]).await.expect(200).json["features"]["beta"], false);
        assert_eq!(admin.call("DELETE", at, Value::Null, &[]).await.expect(200).json["features"]["beta"], Value::Null);
    }
    admin.call("PUT", "/admin/tenants/acme/features/9x", json!(true), &[]).await.expect(422);
    admin.call("PUT", "/admin/tenants/acme/features/sso", json!(true), &[]).await.expect(422);
    let mut allowed = config();
    allowed.features.sso = true;
    let admin = Admin::with(allowed).await;
    admin.tenant("acme", "pro").await;
    admin.call("PUT", "/admin/tenants/acme/features/sso", json!(true), &[]).await.expect(200);
}

#[tokio::test]
async fn a_key_is_told_once_works_and_is_revoked() {
    let admin = Admin::start().await;
    admin.tenant("acme", "pro").await;
    let path = "/admin/tenants/acme/keys";
    let body = json!({"name": "CI", "roles": ["admin"], "scopes": ["read"], "expiresAt": NOW.0 + 1000});
    let key = admin.call("POST", path, body.clone(), &[("idempotency-key", "k1")]).await.expect(201).json;
    let hash = key_hash(key["secret"].as_str().unwrap()).unwrap();
    assert_eq!(admin.tenants.directory.key(&hash).unwrap().key.roles, ["admin"]);
    let again = admin.call("POST", path, body, &[("idempotency-key", "k1")]).await.expect(201);
    assert_eq!((&again.json["id"], &again.json["secret"]), (&key["id"], &Value::Null));
    let list = admin.get(path).await.expect(200);
    assert!(list.json["data"].as_array().unwrap().len() == 1 && !list.text.contains("secret") && !list.text.contains("hash"));
    let stored = serde_json::to_string(
        &admin
            .tenants
            .store
            .export()
            .await
            .unwrap()
            .records
            .iter()
            .map(|r| String::from_utf8_lossy(&r.value).into_owned())
            .collect::<Vec<_>>(),
    );
    assert!(!stored.unwrap().contains(key["secret"].as_str().unwrap()));
    admin.post(path, json!({"name": "x", "expiresAt": NOW.0, "roles": ["a,b"]})).await.expect(422).pointers(&["/roles/0", "/expiresAt"]);
    let one = format!("{path}/{}", key["id"].as_str().unwrap());
    // Rows of the same millisecond have no order.
    admin.clock.set(Millis(NOW.0 + 1));
    admin.call("DELETE", &one, Value::Null, &[]).await.expect(200);
    admin.call("DELETE", &one, Value::Null, &[]).await.expect(404);
    assert!(admin.tenants.directory.key(&hash).is_none());
    let audit = admin.get("/admin/audit?tenant=acme&action=key.*").await.expect(200).json;
    let actions: Vec<_> = audit["data"].as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["key.revoked", "key.created"]);
}
