//! Claims on custom domains, as the API tells of them. Nobody answers for DNS here.

use serde_json::{Value, json};

use super::support::Admin;
use crate::clock::{Clock, SystemClock};

const PATH: &str = "/admin/tenants/acme/domains";

async fn admin() -> Admin {
    let admin = Admin::start().await;
    admin.tenant("acme", "pro").await;
    admin.tenant("globex", "pro").await;
    admin
}

#[tokio::test]
async fn a_claim_answers_with_the_records_to_set() {
    let admin = admin().await;
    let shop = admin.post(PATH, json!({"domain": "Shop.Acme.com."})).await.expect(201).json;
    assert_eq!((&shop["domain"], &shop["verified"], &shop["status"]), (&json!("shop.acme.com"), &json!(false), &json!("in_progress")));
    assert_eq!((&shop["hostname"]["state"], &shop["certificate"]["state"]), (&json!("pending_ownership"), &json!("not_needed")));
    let records = shop["records"].as_array().unwrap();
    let told: Vec<(&str, &str)> = records.iter().map(|it| (it["type"].as_str().unwrap(), it["name"].as_str().unwrap())).collect();
    assert_eq!(told, [("TXT", "_gatehouse.shop.acme.com"), ("CNAME", "shop.acme.com")]);
    assert!(records[0]["value"].as_str().unwrap().starts_with("gatehouse-verification="));
    assert_eq!(records[1]["value"], "example.localhost");
    assert!(records.iter().all(|record| !record["why"].as_str().unwrap().is_empty()));
    // The label right below a public suffix cannot have a CNAME.
    let apex = admin.post(PATH, json!({"domain": "acme.co.uk"})).await.expect(201).json;
    assert_eq!(apex["records"][1]["type"], "ALIAS", "nobody says which addresses the gateway has");
}

#[tokio::test]
async fn what_nobody_can_own_is_refused_and_what_is_the_same_is_the_same() {
    let admin = admin().await;
    let names = [
        "*.acme.com",
        "127.0.0.1",
        "[::1]",
        "localhost",
        "x.example.localhost",
        "example.localhost",
        "co.uk",
        "github.io",
        "a..b",
        "",
        "_x.acme.com",
    ];
    let long = format!("{}.com", ["a"; 60].join("."));
    for name in names.into_iter().chain([long.as_str()]) {
        admin.post(PATH, json!({"domain": name})).await.expect(422).pointers(&["/domain"]);
    }
    let made = admin.post(PATH, json!({"domain": "bücher.example"})).await.expect(201).json;
    assert_eq!(made["domain"], "xn--bcher-kva.example");
    for same in ["BÜCHER.example", "xn--bcher-kva.example.", "XN--BCHER-KVA.Example"] {
        let again = admin.post(PATH, json!({"domain": same})).await.expect(200).json;
        assert_eq!(again["records"], made["records"], "{same}");
        admin.post("/admin/tenants/globex/domains", json!({"domain": same})).await.expect(409).code("domain_taken");
    }
}

#[tokio::test]
async fn a_name_of_another_is_refused_and_the_answer_says_how_to_prove_a_right_to_it() {
    let admin = admin().await;
    let mine = admin.post(PATH, json!({"domain": "acme.com"})).await.expect(201).json;
    let refused = admin.post("/admin/tenants/globex/domains", json!({"domain": "acme.com"})).await.expect(409);
    let record = &refused.json["records"][0];
    assert_eq!((&record["type"], &record["name"]), (&json!("TXT"), &json!("_gatehouse.acme.com")));
    assert_ne!(record["value"], mine["records"][0]["value"]);
    let again = admin.post("/admin/tenants/globex/domains", json!({"domain": "acme.com"})).await.expect(409);
    assert_eq!(again.json["records"], refused.json["records"], "what was set stays right");
}

#[tokio::test]
async fn the_first_domain_is_the_custom_domain_and_the_oldest_of_the_others_follows_it() {
    let admin = admin().await;
    for name in ["b.com", "c.com", "a.com"] {
        admin.post(PATH, json!({"domain": name})).await.expect(201);
        // Another millisecond for each.
        let claimed = SystemClock.now();
        while SystemClock.now() == claimed {
            tokio::task::yield_now().await;
        }
    }
    let custom = async || admin.get("/admin/tenants/acme").await.expect(200).json["customDomain"].clone();
    assert_eq!(custom().await, "b.com");
    admin.call("PATCH", "/admin/tenants/acme", json!({"customDomain": "c.com"}), &[]).await.expect(200);
    let shown = admin.get("/admin/tenants/acme").await.expect(200).json;
    assert_eq!((&shown["customDomain"], shown["domains"].as_array().unwrap().len()), (&json!("c.com"), 3), "one that it has");
    let moved = admin.call("PATCH", "/admin/tenants/acme", json!({"customDomain": "d.com"}), &[]).await.expect(200).json;
    let names: Vec<&str> = moved["domains"].as_array().unwrap().iter().map(|it| it["domain"].as_str().unwrap()).collect();
    assert_eq!(names, ["a.com", "b.com", "d.com"], "a new one takes the place of the one before");
    admin.call("DELETE", &format!("{PATH}/d.com"), Value::Null, &[]).await.expect(200);
    assert_eq!(custom().await, "b.com");
    for name in ["a.com", "b.com"] {
        admin.call("DELETE", &format!("{PATH}/{name}"), Value::Null, &[]).await.expect(200);
    }
    assert_eq!(custom().await, Value::Null);
    admin.call("DELETE", &format!("{PATH}/a.com"), Value::Null, &[]).await.expect(404);
}

#[tokio::test]
async fn a_released_name_needs_a_fresh_proof_and_a_deleted_tenant_releases_all_after_a_while() {
    let admin = admin().await;
    let proof = async |tenant: &str| {
        admin.post(&format!("/admin/tenants/{tenant}/domains"), json!({"domain": "acme.com"})).await.expect(201).json["records"][0]["value"]
            .clone()
    };
    let first = proof("acme").await;
    admin.post(PATH, json!({"domain": "acme.org"})).await.expect(201);
    admin.call("DELETE", &format!("{PATH}/acme.com"), Value::Null, &[]).await.expect(200);
    let second = proof("acme").await;
    assert_ne!(first, second);
    let gone = admin.call("DELETE", "/admin/tenants/acme", Value::Null, &[]).await.expect(200).json;
    assert_eq!(gone["customDomain"], "acme.org");
    admin.post("/admin/tenants/globex/domains", json!({"domain": "acme.org"})).await.expect(409);
    admin.advance("30d").await;
    let third = proof("globex").await;
    admin.post("/admin/tenants/globex/domains", json!({"domain": "acme.org"})).await.expect(201);
    assert!(![first, second].contains(&third));
    let id = gone["id"].as_str().unwrap();
    assert_eq!(admin.show(id).await["domains"], json!([]));
    admin.post(&format!("/admin/tenants/{id}/restore"), Value::Null).await.expect(409).code("invalid_transition");
}

#[tokio::test]
async fn lists_are_paged_and_filtered_and_one_lists_all_tenants() {
    let admin = admin().await;
    for name in ["a.com", "b.com", "proven.com"] {
        admin.post(PATH, json!({"domain": name})).await.expect(201);
    }
    admin.post("/admin/tenants/globex/domains", json!({"domain": "c.com"})).await.expect(201);
    let names = async |path: &str| {
        let json = admin.get(path).await.expect(200).json;
        let names: Vec<String> = json["data"].as_array().unwrap().iter().map(|it| it["domain"].as_str().unwrap().to_owned()).collect();
        (names, json["nextCursor"].clone())
    };
    assert_eq!(names(&format!("{PATH}?limit=2")).await, (vec!["a.com".into(), "b.com".into()], json!("b.com")));
    assert_eq!(names(&format!("{PATH}?limit=2&cursor=b.com")).await, (vec!["proven.com".into()], Value::Null));
    assert_eq!(names(&format!("{PATH}?status=serving")).await, (vec!["proven.com".into()], Value::Null));
    let all = vec!["a.com".into(), "b.com".into(), "c.com".into(), "proven.com".into()];
    assert_eq!(names("/admin/domains").await, (all, Value::Null));
    assert_eq!(names("/admin/domains?status=in_progress&cursor=a.com").await, (vec!["b.com".into(), "c.com".into()], Value::Null));
    assert_eq!(names("/admin/domains?status=expiring").await, (vec![], Value::Null));
    admin.get("/admin/domains?status=stuk").await.expect(422).pointers(&["/query/status"]);
}

#[tokio::test]
async fn what_could_not_be_checked_has_not_failed() {
    let admin = admin().await;
    admin.post(PATH, json!({"domain": "acme.com"})).await.expect(201);
    let seen = admin.post(&format!("{PATH}/acme.com/verify"), Value::Null).await.expect(200).json;
    assert_eq!((&seen["status"], &seen["reason"]), (&json!("in_progress"), &json!("dns_unavailable")));
    assert_eq!((&seen["hostname"]["checkedAt"], seen["retryAt"].is_i64()), (&Value::Null, true));
    admin.post(&format!("{PATH}/globex.com/verify"), Value::Null).await.expect(404);
}
