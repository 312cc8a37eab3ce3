//! Feature flags through the API: what decides over each, roll-outs, plans with flags, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use serde_json::{Value, json};

use super::support::{Admin, config};
use crate::billing::payments::Manual;
use crate::config::Config;
use crate::store::memory::Memory;

impl Admin {
    async fn put(&self, path: &str, body: Value) -> super::support::Answer {
        self.call("PUT", path, body, &[]).await
    }

    /// `enabled` and `source` of a tenant's flag.
    async fn flag(&self, tenant: &str, flag: &str, query: &str) -> Value {
        let all = self.get(&format!("/admin/tenants/{tenant}/features{query}")).await.expect(200).json;
        let found = all["data"].as_array().unwrap().iter().find(|state| state["name"] == flag).cloned();
        found.map_or(Value::Null, |state| json!([state["enabled"], state["source"]]))
    }
}

#[tokio::test]
async fn each_flag_is_told_with_what_decided_it() {
    let mut config = config();
    config.plans.get_mut("pro").unwrap().features.insert("advancedAnalytics".to_owned(), true);
    let admin =
        Admin::with(Config { routes: Config::from_toml("[[route]]\npath = \"/x\"\nfeature = \"routed\"").unwrap().routes, ..config }).await;
    admin.tenant("acme", "pro").await;
    admin.tenant("globex", "free").await;
    admin.put("/admin/features/beta", json!({"percentage": 100, "plans": ["pro"], "description": "the new editor"})).await.expect(200);
    admin.put("/admin/features/perUser", json!({"percentage": 100, "by": "user"})).await.expect(200);
    admin.put("/admin/tenants/acme/features/own", json!(true)).await.expect(200);
    assert_eq!(
        admin.get("/admin/tenants/acme/features").await.expect(200).json["data"],
        json!([
            {"name": "advancedAnalytics", "enabled": true, "source": "plan", "override": null, "planDefault": true, "rollout": null},
            {"name": "beta", "enabled": true, "source": "rollout", "override": null, "planDefault": null,
                "rollout": {"percentage": 100, "by": "tenant", "plans": ["pro"]}},
            {"name": "own", "enabled": true, "source": "tenant", "override": true, "planDefault": null, "rollout": null},
            {"name": "perUser", "enabled": false, "source": "rollout", "override": null, "planDefault": null,
                "rollout": {"percentage": 100, "by": "user", "plans": null}},
            {"name": "routed", "enabled": false, "source": "default", "override": null, "planDefault": null, "rollout": null},
        ])
    );
    assert_eq!(admin.flag("acme", "perUser", "?user=u1").await, json!([true, "rollout"]));
    assert_eq!(admin.flag("globex", "beta", "").await, json!([false, "default"]), "another plan");
    assert_eq!(admin.flag("globex", "advancedAnalytics", "").await, Value::Null);
    // An override wins until it is removed.
    admin.put("/admin/tenants/acme/features/beta", json!({"enabled": false})).await.expect(200);
    assert_eq!(admin.flag("acme", "beta", "").await, json!([false, "tenant"]));
    admin.call("DELETE", "/admin/tenants/acme/features/beta", Value::Null, &[]).await.expect(200);
    assert_eq!(admin.flag("acme", "beta", "").await, json!([true, "rollout"]));
    let asked = admin.call("GET", "/api/tenant", Value::Null, &[("x-tenant-id", "acme")]).await.expect(200).json;
    assert_eq!(asked["features"], json!(["advancedAnalytics", "beta", "own"]));
    assert_eq!(asked["config"]["features"], json!({"own": true}), "what was switched for it alone");
}

#[tokio::test]
async fn the_switch_of_the_deployment_wins_over_plan_and_tenant() {
    let mut allowed = config();
    allowed.features.sso = true;
    allowed.plans.get_mut("pro").unwrap().features.insert("sso".to_owned(), true);
    let store = Arc::new(Memory::default());
    let admin = Admin::on(store.clone(), allowed.clone(), Arc::new(Manual)).await;
    admin.tenant("acme", "pro").await;
    assert_eq!(admin.flag("acme", "sso", "").await, json!([true, "plan"]));
    admin.put("/admin/tenants/acme/features/sso", json!(true)).await.expect(200);
    admin.put("/admin/features/sso", json!({"percentage": 100})).await.expect(200);
    allowed.features.sso = false;
    let admin = Admin::on(store, allowed, Arc::new(Manual)).await;
    assert_eq!(admin.flag("acme", "sso", "").await, json!([false, "deployment"]));
    admin.put("/admin/features/sso", json!({"percentage": 50})).await.expect(422);
    admin.put("/admin/features/sso", json!({"percentage": 0})).await.expect(200);
}

#[tokio::test]
async fn roll_outs_are_kept_with_their_audit_rows_and_found_again() {
    let store = Arc::new(Memory::default());
    let admin = Admin::on(store.clone(), config(), Arc::new(Manual)).await;
    admin.tenant("acme", "free").await;
    let first = admin.put("/admin/features/beta", json!({"percentage": 12.34})).await.expect(200).json;
    assert_eq!(
        first,
        json!({"flag": "beta", "percentage": 12.34, "by": "tenant", "plans": null, "description": null, "updatedAt": first["updatedAt"]})
    );
    let rows = async |admin: &Admin, action: &str| {
        let rows = admin.get(&format!("/admin/audit?action={action}")).await.expect(200).json;
        rows["data"].as_array().unwrap().clone()
    };
    assert_eq!(admin.put("/admin/features/beta", first.clone()).await.expect(200).json, first, "what is shown can be sent back");
    assert_eq!(rows(&admin, "feature.rolled_out").await.len(), 1, "what changes nothing is no change");
    admin.put("/admin/features/beta", json!({"percentage": 100, "plans": ["pro", "free", "pro"]})).await.expect(200);
    let row = rows(&admin, "feature.rolled_out").await[0].clone();
    assert_eq!((&row["before"]["percentage"], &row["after"]["percentage"]), (&json!(12.34), &json!(100)));
    assert_eq!((&row["after"]["plans"], &row["tenantId"], &row["actor"]), (&json!(["free", "pro"]), &Value::Null, &json!("loopback")));

    let again = Admin::on(store.clone(), config(), Arc::new(Manual)).await;
    assert_eq!(again.get("/admin/features").await.expect(200).json["data"][0]["percentage"], 100);
    assert_eq!(again.flag("acme", "beta", "").await, json!([true, "rollout"]));
    again.call("DELETE", "/admin/features/beta", Value::Null, &[]).await.expect(200);
    assert_eq!(again.flag("acme", "beta", "").await, Value::Null);
    assert_eq!(rows(&again, "feature.rollout_removed").await[0]["before"]["percentage"], 100);
    let text = again.call("DELETE", "/admin/features/beta", Value::Null, &[]).await.expect(404).text;
    assert!(text.contains("No flag `beta` is rolled out"), "{text}");
    let last = Admin::on(store, config(), Arc::new(Manual)).await;
    assert_eq!(last.get("/admin/features").await.expect(200).json, json!({"data": [], "nextCursor": null}));
}

#[tokio::test]
async fn what_is_wrong_with_a_roll_out_is_told_and_changes_nothing() {
    let admin = Admin::start().await;
    for (flag, body, pointer) in [
        ("beta", json!({}), "/percentage"),
        ("beta", json!({"percentage": 101}), "/percentage"),
        ("beta", json!({"percentage": 1.005}), "/percentage"),
        ("beta", json!({"percentage": -1}), "/percentage"),
        ("beta", json!({"percentage": "5"}), "/percentage"),
        ("beta", json!({"percentage": 5, "by": "host"}), "/by"),
        ("beta", json!({"percentage": 5, "plans": []}), "/plans"),
        ("beta", json!({"percentage": 5, "plans": ["free", "por"]}), "/plans/1"),
        ("beta", json!({"percentage": 5, "description": "a\nb"}), "/description"),
        ("beta", json!({"percentage": 5, "percent": 6}), "/percent"),
        ("9x", json!({"percentage": 5}), "/percentage"),
    ] {
        let answer = admin.put(&format!("/admin/features/{flag}"), body.clone()).await.expect(422);
        assert_eq!(answer.json["errors"][0]["pointer"], pointer, "{body}: {}", answer.text);
    }
    assert_eq!(admin.get("/admin/features").await.json["data"], json!([]));
    admin.get("/admin/features/beta").await.expect(404);
    admin.get("/admin/tenants/nobody/features").await.expect(404);
    admin.tenant("acme", "free").await;
    admin.get("/admin/tenants/acme/features?usr=1").await.expect(422).pointers(&["/query/usr"]);
}

#[tokio::test]
async fn roll_outs_that_are_made_at_once_are_all_there_and_not_more_than_200() {
    let store = Arc::new(Memory::default());
    let admin = Admin::on(store.clone(), config(), Arc::new(Manual)).await;
    let put = async |at: usize| admin.put(&format!("/admin/features/flag-{at}"), json!({"percentage": 50})).await.status.as_u16();
    let statuses = futures_util::future::join_all((0..210).map(put)).await;
    let (made, refused) =
        (statuses.iter().filter(|status| **status == 200).count(), statuses.iter().filter(|status| **status == 422).count());
    assert_eq!((made, refused), (200, 10));
    let names = async |admin: &Admin| {
        let all = admin.get("/admin/features").await.expect(200).json;
        all["data"].as_array().unwrap().iter().map(|it| it["flag"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let shown = names(&admin).await;
    assert_eq!(
        (shown.len(), names(&Admin::on(store, config(), Arc::new(Manual)).await).await),
        (200, shown.clone()),
        "what is shown is stored"
    );
    admin.put(&format!("/admin/features/{}", shown[0]), json!({"percentage": 60})).await.expect(200);
}

#[tokio::test]
async fn a_tenant_keeps_the_flags_of_its_version_of_the_plan() {
    let admin = Admin::start().await;
    let mut pro = admin.get("/admin/plans/pro").await.expect(200).json["versions"][0].clone();
    assert_eq!(pro["features"], json!({}));
    admin.tenant("acme", "pro").await;
    pro["features"] = json!({"chat": true, "no good": true});
    admin.post("/admin/plans", pro.clone()).await.expect(422).pointers(&["/features/no good"]);
    pro["features"] = json!({"chat": 1});
    admin.post("/admin/plans", pro.clone()).await.expect(422).pointers(&["/features/chat"]);
    pro["features"] = json!({"chat": true});
    assert_eq!(admin.post("/admin/plans", pro.clone()).await.expect(201).json["features"], json!({"chat": true}));
    admin.tenant("globex", "pro").await;
    assert_eq!(admin.flag("acme", "chat", "").await, Value::Null);
    assert_eq!(admin.flag("globex", "chat", "").await, json!([true, "plan"]));
    admin.subscribe("acme", json!({"plan": "pro", "planVersion": 2})).await.expect(200);
    assert_eq!(admin.flag("acme", "chat", "").await, json!([true, "plan"]));
}
