//! Operators: what each role may do, and how tokens come and go.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::support::{Admin, Answer, config};
use crate::admin::{openapi_json, permissions};
use crate::clock::{Clock, SystemClock};
use crate::model::Role;

/// An admin API that is asked with tokens.
struct Asked(Admin);

impl Asked {
    async fn call(&self, token: &str, method: &str, path: &str, body: Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let fields = [("authorization", &*bearer)];
        self.0.call(method, path, body, if token.is_empty() { &[] } else { &fields }).await
    }

    /// Makes an operator; its token.
    async fn make(&self, by: &str, name: &str, role: &str) -> String {
        let made = self.call(by, "POST", "/admin/operators", json!({"name": name, "role": role})).await.expect(201).json;
        assert_eq!((&made["name"], &made["role"], &made["lastUsedAt"]), (&json!(name), &json!(role), &Value::Null));
        let secret = made["secret"].as_str().unwrap();
        assert!(secret.starts_with(made["prefix"].as_str().unwrap()) && secret.ends_with(made["lastFour"].as_str().unwrap()));
        secret.to_owned()
    }
}

#[tokio::test]
async fn each_role_makes_the_calls_of_its_own_and_no_others() {
    let mut secured = config();
    secured.admin.token = Some("s3cret".into());
    let asked = Asked(Admin::with(secured).await);
    let mut tokens = Vec::new();
    for role in Role::ALL {
        tokens.push((role, asked.make("s3cret", &format!("a-{}", role.as_str()), role.as_str()).await));
    }
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let mut known = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let (method, roles) = (method.to_uppercase(), operation["x-roles"].as_array().unwrap());
            known.insert((method.clone(), path.clone()));
            let is_open = roles == &[json!("anyone")];
            let is_written_down = permissions::lines().any(|line| line == (method.as_str(), path.as_str()));
            assert!(is_open || method == "GET" || is_written_down, "{method} {path} is not in the table of permissions");
            let asked_for = path.split('/').map(|part| if part.starts_with('{') { "nothing" } else { part }).collect::<Vec<_>>().join("/");
            for (role, token) in tokens.iter().filter(|_| !is_open) {
                let answer = asked.call(token, &method, &asked_for, if method == "GET" { Value::Null } else { json!({}) }).await;
                let refused = answer.status.as_u16() == 403 && answer.json["title"] == "Forbidden";
                assert_eq!(refused, !roles.contains(&json!(role.as_str())), "{method} {path} by {}: {}", role.as_str(), answer.text);
                if refused {
                    let detail = answer.json["detail"].as_str().unwrap();
                    assert!(roles.iter().all(|role| detail.contains(role.as_str().unwrap())) && detail.contains(role.as_str()), "{detail}");
                }
            }
            asked.call("", &method, &asked_for, Value::Null).await.expect(if is_open { continue } else { 401 });
        }
    }
    for (method, path) in permissions::lines() {
        assert!(known.contains(&(method.to_owned(), path.to_owned())), "nobody answers {method} {path}");
    }
}

#[tokio::test]
async fn roles_are_as_they_are_described() {
    let may = |role: Role| {
        let calls = [
            ("GET", "/admin/tenants"),
            ("GET", "/admin/audit"),
            ("PATCH", "/admin/tenants/{id}/config"),
            ("POST", "/admin/tenants/{id}/keys"),
            ("POST", "/admin/tenants/{id}/suspend"),
            ("PUT", "/admin/tenants/{id}/subscription"),
            ("POST", "/admin/invoices/{id}/pay"),
            ("DELETE", "/admin/tenants/{id}"),
            ("POST", "/admin/clock"),
            ("POST", "/admin/operators"),
            ("POST", "/admin/what-comes-later"),
        ];
        calls.map(|(method, path)| if permissions::roles(method, path).contains(&role) { 'x' } else { '.' }).iter().collect::<String>()
    };
    assert_eq!(
        Role::ALL.map(may),
        ["xxxxxxxxxxx", "xxxxx......", "xx...xx....", "xx........."],
        "what nobody has thought of is for owners"
    );
}

#[tokio::test]
async fn the_first_token_ends_loopback_without_one_and_the_last_brings_it_back() {
    let asked = Asked(Admin::start().await);
    let create = |name: &str, role: &str| json!({"name": name, "role": role});
    asked.call("", "POST", "/admin/operators", create("bob", "support")).await.expect(422).pointers(&["/role"]);
    let ada = asked.make("", "ada", "owner").await;
    asked.call("", "GET", "/admin/tenants", Value::Null).await.expect(401).code("unauthenticated");
    asked.call(&ada, "GET", "/admin/tenants", Value::Null).await.expect(200);
    let bob = asked.make(&ada, "bob", "support").await;
    asked.call(&bob, "POST", "/admin/tenants", json!({"name": "Acme", "slug": "acme", "plan": "free"})).await.expect(201);
    asked.call(&bob, "POST", "/admin/operators", create("eve", "owner")).await.expect(403).code("forbidden");

    asked.call(&ada, "DELETE", "/admin/operators/ada", Value::Null).await.expect(409).code("last_owner");
    let listed = asked.call(&ada, "GET", "/admin/operators", Value::Null).await.expect(200);
    assert!(!listed.text.contains(&ada) && !listed.text.contains("secret") && !listed.text.contains("hash"), "{}", listed.text);
    let of_bob = &listed.json["data"][1];
    assert!(of_bob["lastUsedAt"].as_i64().unwrap() >= of_bob["createdAt"].as_i64().unwrap(), "{of_bob}");
    let gone = asked.call(&ada, "DELETE", &format!("/admin/operators/{}", of_bob["id"].as_str().unwrap()), Value::Null).await.expect(200);
    assert_eq!(gone.json["name"], "bob");
    asked.call(&bob, "GET", "/admin/tenants", Value::Null).await.expect(401);
    asked.call(&ada, "DELETE", "/admin/operators/ada", Value::Null).await.expect(200);
    asked.call("", "GET", "/admin/tenants", Value::Null).await.expect(200);
    asked.call("", "DELETE", "/admin/operators/ada", Value::Null).await.expect(404);

    let log = asked.call("", "GET", "/admin/audit?limit=500", Value::Null).await.expect(200);
    assert!(!log.text.contains(&ada) && !log.text.contains(&bob), "no token is in the log");
    let told = |row: &Value| format!("{} {}", row["actor"].as_str().unwrap(), row["action"].as_str().unwrap());
    let rows: Vec<String> = log.json["data"].as_array().unwrap().iter().rev().map(told).collect();
    let expected =
        ["loopback operator.created", "ada operator.created", "bob tenant.created", "ada operator.revoked", "ada operator.revoked"];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn names_are_of_one_operator_and_never_those_of_the_gateway() {
    let asked = Asked(Admin::start().await);
    let ada = asked.make("", "ada", "owner").await;
    let create = async |name: &str, role: &str| asked.call(&ada, "POST", "/admin/operators", json!({"name": name, "role": role})).await;
    create("Ada", "owner").await.expect(409).code("name_taken").pointers(&["/name"]);
    for name in ["admin", "System", "loopback", "config", "", "a b", "\u{1b}[1m", "zoë", "a/b", &"a".repeat(65)] {
        create(name, "support").await.expect(422).pointers(&["/name"]);
    }
    for role in ["Owner", "root", ""] {
        create("bob", role).await.expect(422).pointers(&["/role"]);
    }
    let past = json!({"name": "bob", "role": "support", "expiresAt": SystemClock.now().0});
    asked.call(&ada, "POST", "/admin/operators", past).await.expect(422).pointers(&["/expiresAt"]);
    create("bob.smith+ops@example.com", "billing").await.expect(201);
}

#[tokio::test]
async fn a_repeated_answer_is_without_the_token_and_an_expired_token_is_refused() {
    let asked = Asked(Admin::start().await);
    let body = json!({"name": "ada", "role": "owner"});
    let once = asked.0.call("POST", "/admin/operators", body.clone(), &[("idempotency-key", "k1")]).await.expect(201).json;
    let bearer = format!("Bearer {}", once["secret"].as_str().unwrap());
    let again = asked.0.call("POST", "/admin/operators", body, &[("idempotency-key", "k1"), ("authorization", &bearer)]).await;
    let again = again.expect(201).json;
    assert_eq!((&again["id"], &again["secret"]), (&once["id"], &Value::Null));

    let soon = json!({"name": "ci", "role": "read-only", "expiresAt": SystemClock.now().0 + 300});
    let ci = asked.0.call("POST", "/admin/operators", soon, &[("authorization", &bearer)]).await.expect(201).json;
    let ci = ci["secret"].as_str().unwrap();
    asked.call(ci, "GET", "/admin/tenants", Value::Null).await.expect(200);
    while asked.call(ci, "GET", "/admin/tenants", Value::Null).await.status != 401 {
        tokio::task::yield_now().await;
    }
    let reused = asked.0.call("POST", "/admin/operators", json!({"name": "ci", "role": "support"}), &[("authorization", &bearer)]).await;
    reused.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_of_one_request_make_one_operator_and_get_the_same_answer() {
    for _ in 0..20 {
        let mut secured = config();
        secured.admin.token = Some("s3cret".into());
        let admin = Admin::with(secured).await;
        let fields = [("authorization", "Bearer s3cret"), ("idempotency-key", "k1")];
        let ask = || admin.call("POST", "/admin/operators", json!({"name": "ada", "role": "owner"}), &fields);
        let (one, two) = tokio::join!(ask(), ask());
        let (one, two) = (one.expect(201).json, two.expect(201).json);
        assert_eq!(one["id"], two["id"]);
        assert_ne!(one["secret"].is_string(), two["secret"].is_string(), "the token is told once");
    }
}
