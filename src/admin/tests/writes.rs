//! Writes that meet: races, conditions and repeated requests.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::support::Admin;

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_want_a_slug_exactly_one_gets_it() {
    let admin = Admin::start().await;
    let tries = (0..20).map(|n| admin.post("/admin/tenants", json!({"name": format!("n{n}"), "slug": "acme", "plan": "free"})));
    let mut codes: Vec<u16> = join_all(tries).await.iter().map(|answer| answer.status.as_u16()).collect();
    codes.sort_unstable();
    assert_eq!((codes[0], &codes[1..]), (201, &[409; 19][..]));
    assert_eq!(admin.get("/admin/tenants").await.json["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn all_taken_names_are_told_at_once() {
    let admin = Admin::start().await;
    let body = json!({"name": "A", "slug": "acme", "plan": "pro", "customDomain": "acme.com"});
    admin.post("/admin/tenants", body.clone()).await.expect(201);
    admin.post("/admin/tenants", body).await.expect(409).code("slug_taken").pointers(&["/slug", "/customDomain"]);
}

#[tokio::test]
async fn if_match_keeps_a_stale_writer_out_and_others_are_merged() {
    let admin = Admin::start().await;
    admin.tenant("acme", "pro").await;
    let first = admin.get("/admin/tenants/acme").await.expect(200);
    let tag = first.headers["etag"].to_str().unwrap().to_owned();
    admin.call("GET", "/admin/tenants/acme", Value::Null, &[("if-none-match", &tag)]).await.expect(304);
    let patch = async |body: Value, tag: &str| admin.call("PATCH", "/admin/tenants/acme", body, &[("if-match", tag)]).await;
    let second = patch(json!({"name": "B"}), &tag).await.expect(200);
    assert_ne!(second.headers["etag"].to_str().unwrap(), tag);
    patch(json!({"name": "C"}), &tag).await.expect(412).code("precondition_failed");
    patch(json!({"name": "C"}), "*").await.expect(200);
    let flags = (0..5).map(|n| {
        let path = format!("/admin/tenants/acme/features/f{n}");
        let admin = &admin;
        async move { admin.call("PUT", &path, json!(true), &[]).await.expect(200) }
    });
    join_all(flags).await;
    assert_eq!(admin.get("/admin/tenants/acme/config").await.json["features"].as_object().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_done_once_and_told_the_same() {
    let admin = Admin::start().await;
    let body = json!({"name": "A", "slug": "acme", "plan": "free"});
    let key = [("idempotency-key", "one")];
    let answers = join_all((0..10).map(|_| admin.call("POST", "/admin/tenants", body.clone(), &key))).await;
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.json == answers[0].json), "{}", answers[1].text);
    let fresh = answers.iter().filter(|answer| !answer.headers.contains_key("idempotency-replayed")).count();
    assert_eq!(fresh, 1);
    let other = json!({"name": "B", "slug": "b", "plan": "free"});
    admin.call("POST", "/admin/tenants", other.clone(), &key).await.expect(422).code("idempotency_key_reused");
    admin.call("POST", "/admin/tenants", json!({"name": "", "slug": "b", "plan": "free"}), &[("idempotency-key", "two")]).await.expect(422);
    admin.call("POST", "/admin/tenants", other, &[("idempotency-key", "two")]).await.expect(201);
    let audit = admin.get("/admin/audit?action=tenant.created").await.expect(200).json;
    assert_eq!(audit["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_stored_is_shown_again_after_a_start() {
    let admin = Admin::start().await;
    for n in 0..7 {
        admin.tenant(&format!("t{n}"), "free").await;
    }
    assert_eq!(crate::tenancy::load(&admin.tenants).await.unwrap(), 7);
}
