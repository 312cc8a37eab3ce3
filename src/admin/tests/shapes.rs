//! What clients read: the seed's documents, lists, errors and the OpenAPI document.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};

use super::support::{Admin, NOW, config};
use crate::model::Totals;
use crate::store::UsageRow;

fn acme() -> Value {
    json!({"name": "Acme Corp", "slug": "acme", "plan": "pro", "billingCycle": "monthly", "customDomain": "acme.com"})
}

#[tokio::test]
async fn a_created_tenant_has_the_shape_of_the_seed() {
    let admin = Admin::start().await;
    let made = admin.post("/admin/tenants", acme()).await.expect(201);
    let tenant = made.json.clone();
    for (pointer, expected) in [
        ("/name", json!("Acme Corp")),
        ("/slug", json!("acme")),
        ("/status", json!("trial")),
        ("/plan", json!("pro")),
        ("/billingCycle", json!("monthly")),
        ("/customDomain", json!("acme.com")),
        ("/domains", json!([{"domain": "acme.com", "verified": false}])),
        ("/config", json!({"branding": {"primaryColor": "#3B82F6"}, "features": {}, "settings": {}})),
        ("/createdAt", json!(NOW.0)),
        ("/trialEndsAt", json!(NOW.0 + 1_209_600_000)),
        ("/upstream", Value::Null),
        ("/deletedAt", Value::Null),
    ] {
        assert_eq!(tenant.pointer(pointer), Some(&expected), "{pointer}");
    }
    let limits = json!({"maxUsers": 50, "maxProjects": 100, "maxStorage": 107_374_182_400_i64, "maxApiCalls": 100_000, "maxBandwidth": 1_099_511_627_776_i64});
    assert_eq!(tenant["limits"], limits);
    let by_slug = admin.get("/admin/tenants/acme").await.expect(200);
    assert_eq!(by_slug.json, tenant);
    assert_eq!(by_slug.headers["etag"], made.headers["etag"]);
    let id = tenant["id"].as_str().unwrap();
    assert_eq!(admin.get(&format!("/admin/tenants/{id}")).await.expect(200).json, tenant);
    assert_eq!(admin.tenants.directory.len(), 1);
}

#[tokio::test]
async fn free_tenants_are_active_at_once_and_unlimited_is_null() {
    let admin = Admin::start().await;
    admin.tenant("small", "free").await;
    let small = admin.get("/admin/tenants/small").await.json;
    assert_eq!((&small["status"], &small["trialEndsAt"]), (&json!("active"), &Value::Null));
    let answer = admin
        .call("PUT", "/admin/tenants/small/subscription", json!({"plan": "enterprise", "billingCycle": "yearly"}), &[])
        .await
        .expect(200);
    assert_eq!((&answer.json["billingCycle"], &answer.json["limits"]["maxApiCalls"]), (&json!("yearly"), &Value::Null));
}

#[tokio::test]
async fn usage_health_invoices_and_the_tenant_api_have_the_shapes_of_the_seed() {
    let admin = Admin::start().await;
    let id = admin.tenant("acme", "pro").await;
    let totals = Totals { admitted: 9, metered: 7, egress: 500, ingress: 30, rejected: 2, ..Totals::default() };
    let row = UsageRow { writer: 1, tenant: id.parse().unwrap(), day: NOW.day(), totals };
    admin.tenants.store.add_usage(vec![row]).await.unwrap();

    let usage = admin.get("/admin/tenants/acme/usage").await.expect(200).json;
    let expected = json!({"tenantId": id, "period": "2026-11", "apiCalls": 7, "storage": 0, "bandwidth": 500, "activeUsers": 0,
        "timestamp": NOW.0, "apiCallsToday": 7, "rejected": 2, "ingress": 30, "users": 0, "projects": 0, "peakStorage": 0,
        "overage": {"apiCalls": 0, "bandwidth": 0, "storage": 0}});
    assert_eq!(usage, expected);
    assert_eq!(admin.get("/admin/tenants/acme/usage?period=2026-10").await.expect(200).json["apiCalls"], 0);
    admin.get("/admin/tenants/acme/usage?period=2026-13").await.expect(422).pointers(&["/query/period"]);
    let daily = admin.get("/admin/tenants/acme/usage/daily").await.expect(200).json;
    let day = json!({"date": "2026-11-24", "apiCalls": 7, "bandwidth": 500, "ingress": 30, "rejected": 2,
        "overage": {"apiCalls": 0, "bandwidth": 0}});
    assert_eq!(daily, json!({"data": [day], "nextCursor": null}));
    let health = admin.get("/admin/tenants/acme/health").await.expect(200).json;
    assert_eq!(
        health,
        json!({"tenantId": id, "status": "trial", "usageWithinLimits": true, "subscriptionValid": true, "paymentStatus": "current",
            "subscriptionEndsAt": null})
    );
    assert_eq!(admin.get("/admin/tenants/acme/invoices").await.expect(200).json, json!([]));

    let named = [("X-Tenant-Id", id.as_str())];
    let info = admin.call("GET", "/api/tenant", Value::Null, &named).await.expect(200).json;
    assert_eq!((&info["id"], &info["name"], &info["plan"]), (&json!(id), &json!("acme"), &json!("pro")));
    assert_eq!(info["config"]["branding"]["primaryColor"], "#3B82F6");
    let usage = admin.call("GET", "/api/usage", Value::Null, &named).await.expect(200).json;
    assert_eq!((&usage["usage"]["apiCalls"], &usage["limits"]["maxUsers"]), (&json!(7), &json!(50)));
    let missing =
        admin.call("GET", "/api/tenant", Value::Null, &[("X-Tenant-Id", "tenant_123")]).await.expect(404).code("tenant_not_found");
    assert_eq!(missing.json["error"], "Tenant not found");
    admin.get("/api/tenant").await.expect(400);
}

#[tokio::test]
async fn lists_filter_and_page_without_losing_or_repeating_a_tenant() {
    let admin = Admin::start().await;
    for slug in ["a1", "a2", "b1", "b2", "b3"] {
        admin.tenant(slug, if slug.starts_with('a') { "free" } else { "pro" }).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/admin/tenants?limit=2".to_owned());
    loop {
        let page = admin.get(&path).await.expect(200).json;
        seen.extend(page["data"].as_array().unwrap().iter().map(|tenant| tenant["slug"].as_str().unwrap().to_owned()));
        let Some(next) = page["nextCursor"].as_str() else { break };
        path = format!("/admin/tenants?limit=2&cursor={next}");
    }
    seen.sort();
    assert_eq!(seen, ["a1", "a2", "b1", "b2", "b3"]);
    let count = async |query: &str| admin.get(&format!("/admin/tenants?{query}")).await.expect(200).json["data"].as_array().unwrap().len();
    assert_eq!((count("plan=pro").await, count("status=active").await, count("q=B").await, count("q=zzz").await), (3, 2, 3, 0));
    for wrong in ["limit=0", "limit=501", "limit=x", "cursor=x", "status=aktive", "plna=pro"] {
        admin.get(&format!("/admin/tenants?{wrong}")).await.expect(422);
    }
    let stats = admin.get("/admin/stats").await.expect(200).json;
    assert_eq!((&stats["tenants"]["total"], &stats["tenants"]["trial"], &stats["tenants"]["active"]), (&json!(5), &json!(3), &json!(2)));
}

#[tokio::test]
async fn every_wrong_member_is_told_by_its_pointer() {
    let admin = Admin::start().await;
    let post = async |body: Value| admin.post("/admin/tenants", body).await;
    let body = json!({"name": " ", "slug": "www", "plan": "por", "customDomain": "x.example.localhost", "upstream": "ftp://a",
        "config": {"features": {"a": 1, "sso": true}}, "metadata": 5});
    let answer = post(body).await.expect(422).code("validation_failed");
    let pointers = ["/name", "/slug", "/plan", "/customDomain", "/config/features/a", "/config/features/sso", "/metadata", "/upstream"];
    assert!(answer.text.contains("did you mean `pro`?"), "{}", answer.text);
    answer.pointers(&pointers);
    let answer = post(json!({"nmae": "x", "slug": "x", "plan": "pro"})).await.expect(422).pointers(&["/nmae", "/name"]);
    assert!(answer.text.contains("did you mean `name`?"), "{}", answer.text);
    post(json!({"name": 5, "slug": "x", "plan": "pro"})).await.expect(422).pointers(&["/name"]);
    post(json!({"name": "x", "slug": "x", "plan": "pro", "billingCycle": "weekly"})).await.expect(422).pointers(&["/billingCycle"]);
    post(json!({"name": "x", "slug": "gw", "plan": "pro"})).await.expect(422).pointers(&["/slug"]);
    post(json!([])).await.expect(422);
    for domain in ["example.localhost", "api.example.com", "127.0.0.1", "localhost"] {
        post(json!({"name": "x", "slug": "x", "plan": "pro", "customDomain": domain})).await.expect(422).pointers(&["/customDomain"]);
    }
    post(json!({"name": "x", "slug": "x", "plan": "pro", "upstream": "http://127.0.0.1:3000"})).await.expect(422).pointers(&["/upstream"]);
    let mut off = config();
    off.tenancy.custom_domains = false;
    Admin::with(off).await.post("/admin/tenants", acme()).await.expect(422).pointers(&["/customDomain"]);
}

#[tokio::test]
async fn unreadable_requests_are_problems_too() {
    let admin = Admin::start().await;
    let raw = |method: &str, path: &str, body: Vec<u8>| {
        let request =
            http::Request::builder().method(method).uri(path).header("host", "localhost").header("content-type", "application/json");
        request.body(axum::body::Body::from(body)).unwrap()
    };
    let answer = admin.send(raw("POST", "/admin/tenants", b"{\"name\": }".to_vec())).await.expect(400);
    assert!(answer.json["detail"].as_str().unwrap().contains("column 10"), "{}", answer.text);
    admin.send(raw("POST", "/admin/tenants", vec![b' '; 1024 * 1024 + 1])).await.expect(413).code("body_too_large");
    admin.get("/admin/nothing").await.expect(404).code("not_found");
    admin.get("/admin/tenants/%ff").await.expect(400);
    let answer = admin.call("PUT", "/admin/tenants", json!({}), &[]).await.expect(405).code("method_not_allowed");
    assert!(answer.headers["allow"].to_str().unwrap().contains("POST"));
}

#[tokio::test]
async fn every_path_of_the_document_is_served_and_every_served_path_is_in_it() {
    let admin = Admin::start().await;
    let document = admin.get("/openapi.json").await.expect(200).json;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    for path in ["/admin/tenants", "/admin/tenants/{id}/usage", "/api/tenant", "/metrics", "/livez", "/readyz", "/docs", "/admin/audit"] {
        assert!(paths.contains_key(path), "{path}");
    }
    // Without a provider nobody sends messages, and there is nothing at their path.
    for (path, methods) in paths.iter().filter(|(path, _)| *path != "/webhooks/stripe") {
        for method in methods.as_object().unwrap().keys() {
            let concrete = path.replace("{id}", "nobody").replace("{flag}", "f").replace("{keyId}", "k").replace("{domain}", "a.com");
            let answer = admin.call(&method.to_uppercase(), &concrete, Value::Null, &[]).await;
            assert_ne!(answer.status.as_u16(), 405, "{method} {path}");
            assert!(
                answer.status != 404 || answer.json["code"] == "tenant_not_found" || answer.json["error"] != "Not found",
                "{method} {path}"
            );
        }
    }
    let page = admin.get("/docs").await.expect(200).text;
    assert!(page.contains("/admin/tenants/{id}/subscription") && !page.contains("<script"));
    admin.get("/metrics").await.expect(200);
    admin.get("/readyz").await.expect(200);
    assert_eq!(admin.get("/admin/plans").await.expect(200).json["data"][1]["priceMonthly"], 99.0);
}
