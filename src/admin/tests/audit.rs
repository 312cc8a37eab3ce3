//! No operation succeeds without its row in the audit log, and the log is found by who, what, when and which request.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::billing::provider::{Answer as Said, Bank};
use super::support::{Admin, Answer, NOW, config};
use crate::admin::openapi_json;
use crate::config::Config;

/// What changes nothing by itself, or cannot be done here; why, and where it is looked at.
const WITHOUT: [(&str, &str); 3] = [
    ("POST /webhooks/stripe", "the payment provider's own messages; what they change has rows of its own"),
    ("POST /admin/tenants/{id}/domains/{domain}/renew", "needs a certificate authority: tests/custom_domains/life.rs"),
    ("PATCH /admin/tenants/{id}/domains/{domain}", "needs TLS: tests/custom_domains/life.rs"),
];

/// Calls that were made, by their place in the OpenAPI document.
struct Calls<'a> {
    admin: &'a Admin,
    /// Who makes them, and the token that needs.
    by: (&'static str, Option<&'static str>),
    seen: BTreeSet<String>,
}

impl Calls<'_> {
    /// Makes a call that succeeds, and finds its rows.
    async fn call(&mut self, operation: &str, names: &[(&str, &str)], body: Value) -> Value {
        let (method, template) = operation.split_once(' ').unwrap();
        let path = names.iter().fold(template.to_owned(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
        let (actor, token) = self.by;
        let fields: Vec<(&str, &str)> = token.map(|token| ("authorization", token)).into_iter().chain([("x-reason", "because")]).collect();
        let answer = self.admin.call(method, &path, body, &fields).await;
        assert!(answer.status.is_success(), "{operation}: {}", answer.text);
        let rows = self.admin.call("GET", &format!("/admin/audit?requestId={}", id_of(&answer)), Value::Null, &fields).await;
        let rows = rows.expect(200).json["data"].as_array().unwrap().clone();
        assert!(!rows.is_empty(), "{operation} succeeds without a row");
        for row in &rows {
            let told = (&row["actor"], &row["source"], &row["reason"]);
            assert_eq!(told, (&json!(actor), &json!("127.0.0.1"), &json!("because")), "{operation}: {row}");
            assert!(row["before"].is_object() || row["after"].is_object(), "{operation}: {row}");
        }
        self.seen.insert(operation.to_owned());
        answer.json
    }
}

fn id_of(answer: &Answer) -> &str {
    answer.headers["x-request-id"].to_str().unwrap()
}

async fn rows(admin: &Admin, query: &str) -> Vec<Value> {
    admin.get(&format!("/admin/audit?limit=500&{query}")).await.expect(200).json["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn no_operation_of_the_api_succeeds_without_its_row() {
    let (mut config, mut secured) = (config(), config());
    let endpoint = "[events.endpoint.crm]\nurl = \"https://crm.example\"\nsecret = \"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz\"";
    config.events = Config::from_toml(endpoint).unwrap().events;
    let admin = Admin::with(config.clone()).await;
    let mut calls = Calls { admin: &admin, by: ("loopback", None), seen: BTreeSet::new() };
    of_a_tenant(&mut calls).await;
    of_the_catalogue(&mut calls).await;
    of_invoices(&mut calls).await;
    let mut seen = calls.seen;

    let bank = Arc::new(Bank::default());
    let admin = Admin::paid_by(config, bank.clone()).await;
    let mut calls = Calls { admin: &admin, by: ("loopback", None), seen: BTreeSet::new() };
    admin.tenant("acme", "pro").await;
    calls.call("PUT /admin/tenants/{id}/payment-method", &[("id", "acme")], json!({"paymentMethod": "pm_card_visa"})).await;
    bank.will(&[Said::Declines("card_declined", true)]);
    admin.advance("15d").await;
    let invoice = admin.invoices("acme").await[0]["id"].as_str().unwrap().to_owned();
    calls.call("POST /admin/invoices/{id}/pay", &[("id", &invoice)], json!({})).await;
    calls.call("DELETE /admin/tenants/{id}/payment-method", &[("id", "acme")], Value::Null).await;
    seen.extend(calls.seen);

    secured.admin.token = Some("s3cret".into());
    let admin = Admin::with(secured).await;
    let mut calls = Calls { admin: &admin, by: ("admin", Some("Bearer s3cret")), seen: BTreeSet::new() };
    calls.call("POST /admin/operators", &[], json!({"name": "ada", "role": "support"})).await;
    calls.call("DELETE /admin/operators/{id}", &[("id", "ada")], Value::Null).await;
    seen.extend(calls.seen);

    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|method| ["post", "put", "patch", "delete"].contains(&&***method)) {
            let operation = format!("{} {path}", method.to_uppercase());
            let is_known = seen.contains(&operation) || WITHOUT.iter().any(|(without, _)| *without == operation);
            assert!(is_known, "{operation} is not here: make a call of it that succeeds, and see that it leaves a row");
        }
    }
}

async fn of_a_tenant(calls: &mut Calls<'_>) {
    let acme = [("id", "acme")];
    calls.call("POST /admin/tenants", &[], json!({"name": "Acme", "slug": "acme", "plan": "pro"})).await;
    calls.call("PATCH /admin/tenants/{id}", &acme, json!({"name": "Acme Inc"})).await;
    calls.call("PATCH /admin/tenants/{id}/config", &acme, json!({"branding": {"primaryColor": "#ff0000"}})).await;
    for place in ["features", "config/features"] {
        let flag = [acme[0], ("flag", "x")];
        calls.call(&format!("PUT /admin/tenants/{{id}}/{place}/{{flag}}"), &flag, json!({"enabled": true})).await;
        calls.call(&format!("DELETE /admin/tenants/{{id}}/{place}/{{flag}}"), &flag, Value::Null).await;
    }
    calls.call("POST /admin/tenants/{id}/domains", &acme, json!({"domain": "shop.acme.com"})).await;
    let shop = [acme[0], ("domain", "shop.acme.com")];
    calls.call("POST /admin/tenants/{id}/domains/{domain}/verify", &shop, Value::Null).await;
    calls.call("DELETE /admin/tenants/{id}/domains/{domain}", &shop, Value::Null).await;
    let key = calls.call("POST /admin/tenants/{id}/keys", &acme, json!({"name": "ci"})).await;
    let names = [acme[0], ("keyId", key["id"].as_str().unwrap())];
    calls.call("POST /admin/tenants/{id}/keys/{keyId}/rotate", &names, json!({"overlap": "1h"})).await;
    calls.call("DELETE /admin/tenants/{id}/keys/{keyId}", &names, Value::Null).await;
    let issuer = json!({"issuer": "https://id.acme.com", "audience": ["app"]});
    calls.call("PUT /admin/tenants/{id}/issuers", &acme, json!({"issuers": [issuer]})).await;
    calls.call("POST /admin/tenants/{id}/usage", &acme, json!({"meter": "storage", "delta": 5})).await;
    calls.call("PUT /admin/tenants/{id}/subscription", &acme, json!({"plan": "enterprise"})).await;
    for (action, body) in [("suspend", json!({"reason": "unpaid"})), ("activate", json!({})), ("cancel", json!({}))] {
        calls.call(&format!("POST /admin/tenants/{{id}}/{action}"), &acme, body).await;
    }
    calls.call("DELETE /admin/tenants/{id}", &acme, Value::Null).await;
    calls.call("POST /admin/tenants/{id}/restore", &acme, json!({})).await;
    let preview = calls.admin.call("PUT", "/admin/tenants/acme/subscription?dryRun=true", json!({"plan": "pro"}), &[]).await;
    assert_eq!(rows(calls.admin, &format!("requestId={}", id_of(&preview))).await, [Value::Null; 0], "a preview does nothing");
}

async fn of_the_catalogue(calls: &mut Calls<'_>) {
    let limits = json!({"maxUsers": 10, "maxProjects": null, "maxStorage": 1_073_741_824, "maxApiCalls": 1000, "maxBandwidth": null});
    calls.call("POST /admin/plans", &[], json!({"name": "team", "priceMonthly": 19.9, "priceYearly": 199, "limits": limits})).await;
    calls.call("DELETE /admin/plans/{name}", &[("name", "team")], Value::Null).await;
    let seats = json!({"name": "seats", "priceMonthly": "12.00", "priceYearlyMinor": 12_000, "adds": {"maxUsers": 10}});
    calls.call("POST /admin/add-ons", &[], seats).await;
    calls.call("DELETE /admin/add-ons/{name}", &[("name", "seats")], Value::Null).await;
    calls.call("PUT /admin/features/{flag}", &[("flag", "x")], json!({"percentage": 10, "by": "tenant"})).await;
    calls.call("DELETE /admin/features/{flag}", &[("flag", "x")], Value::Null).await;
    let event = calls.call("POST /admin/events/test", &[], json!({"endpoint": "crm"})).await;
    calls.call("POST /admin/events/{id}/resend", &[("id", event["id"].as_str().unwrap())], json!({})).await;
}

async fn of_invoices(calls: &mut Calls<'_>) {
    let mut ids = Vec::new();
    for slug in ["globex", "initech", "umbrella"] {
        calls.admin.tenant(slug, "pro").await;
    }
    calls.call("POST /admin/clock", &[], json!({"advance": "15d"})).await;
    for slug in ["globex", "initech", "umbrella"] {
        ids.push(calls.admin.invoices(slug).await[0]["id"].as_str().unwrap().to_owned());
    }
    calls.call("POST /admin/invoices/{id}/pay", &[("id", &ids[0])], json!({"reference": "wire 1"})).await;
    calls.call("POST /admin/invoices/{id}/credit", &[("id", &ids[0])], json!({"amountMinor": 100})).await;
    calls.call("POST /admin/invoices/{id}/void", &[("id", &ids[1])], json!({})).await;
    calls.call("POST /admin/invoices/{id}/uncollectible", &[("id", &ids[2])], json!({})).await;
}

#[tokio::test]
async fn rows_are_found_by_actor_action_request_and_time() {
    let admin = Admin::start().await;
    for (at, slug) in ["a", "b", "c"].into_iter().enumerate() {
        admin.tenant(&format!("{slug}-tenant"), "free").await;
        admin.advance(&format!("{}h", at + 1)).await;
    }
    let slugs = async |query: &str| {
        let found = rows(&admin, &format!("action=tenant.*&{query}")).await;
        found.iter().map(|row| row["after"]["slug"].as_str().unwrap()[..1].to_owned()).collect::<String>()
    };
    assert_eq!((slugs("").await, slugs("actor=loopback").await, slugs("actor=ada").await), ("cba".into(), "cba".into(), String::new()));
    // Made at noon, at one and at three.
    let hour = |hours: i64| NOW.0 + hours * 3_600_000;
    for (from, to, expected) in [(0, 9, "cba"), (1, 9, "cb"), (0, 3, "ba"), (1, 2, "b"), (4, 9, ""), (-9, 0, "")] {
        assert_eq!(slugs(&format!("from={}&to={}", hour(from), hour(to))).await, expected, "{from} to {to}");
    }
    assert_eq!(slugs("from=2026-11-24T13:00:00Z").await, "cb");
    assert_eq!(slugs("to=2026-11-24T14:00:00%2B01:00").await, "a");
    assert_eq!(slugs("to=2026-11-24T14:00:00+01:00").await, "a", "a plus that was not escaped");
    for wrong in ["from=yesterday", "to=2026-13-01T00:00:00Z", "format=csv", "format=ndjson&limit=3", "who=ada"] {
        admin.get(&format!("/admin/audit?{wrong}")).await.expect(422);
    }
    let page = admin.get("/admin/audit?limit=2&action=clock.*").await.expect(200).json;
    let rest = admin.get(&format!("/admin/audit?limit=2&action=clock.*&cursor={}", page["nextCursor"].as_str().unwrap())).await.expect(200);
    assert_eq!((page["data"].as_array().unwrap().len(), rest.json["data"].as_array().unwrap().len()), (2, 1));
    assert_eq!(page["data"][1]["after"]["now"], hour(3));
}

#[tokio::test]
async fn a_reason_is_kept_and_one_that_is_no_line_of_text_is_refused() {
    let admin = Admin::start().await;
    let create = async |slug: &str, reason: &[u8]| {
        let body = json!({"name": "A", "slug": slug, "plan": "free"}).to_string();
        let request = http::Request::post("/admin/tenants").header("host", "localhost").header("content-type", "application/json");
        admin.send(request.header("x-reason", reason).body(body.into()).unwrap()).await
    };
    create("one", "für Zoë \u{202e}, ticket 7".as_bytes()).await.expect(201);
    create("two", "ü".repeat(500).as_bytes()).await.expect(201);
    create("long", "ü".repeat(501).as_bytes()).await.expect(422).pointers(&["/header/X-Reason"]);
    create("latin", b"f\xfcr").await.expect(422).pointers(&["/header/X-Reason"]);
    create("none", b" ").await.expect(201);
    let reasons: Vec<Value> = rows(&admin, "").await.iter().map(|row| row["reason"].clone()).collect();
    assert_eq!(reasons, [Value::Null, json!("ü".repeat(500)), json!("für Zoë \\u{202e}, ticket 7")]);
}

#[tokio::test]
async fn no_secret_is_in_the_log() {
    let admin = Admin::start().await;
    admin.tenant("acme", "pro").await;
    let settings = json!({"settings": {"crm": {"apiKey": "hunter2-a", "url": "https://me:hunter2-b@crm.test/"}}});
    admin.call("PATCH", "/admin/tenants/acme/config", settings, &[]).await.expect(200);
    admin.call("PATCH", "/admin/tenants/acme", json!({"metadata": {"webhook_secret": "hunter2-c"}}), &[]).await.expect(200);
    let key = admin.post("/admin/tenants/acme/keys", json!({"name": "ci"})).await.expect(201).json["secret"].clone();
    admin.call("POST", "/admin/tenants/acme/suspend", json!({}), &[("x-reason", key.as_str().unwrap())]).await.expect(200);
    let log = admin.get("/admin/audit").await.expect(200).text;
    assert!(!log.contains("hunter2") && !log.contains(key.as_str().unwrap()), "{log}");
    assert!(log.contains("https://[redacted]@crm.test/") && log.contains("gh_live_[redacted]"), "{log}");
    assert!(admin.show("acme").await.to_string().contains("hunter2-c"), "only the log has it not");
}

#[tokio::test]
async fn an_export_is_what_is_stored_oldest_first_and_the_log_says_whether_it_is_whole() {
    let admin = Admin::start().await;
    admin.tenant("acme", "free").await;
    for at in 0..700 {
        admin.tenant(&format!("t-{at}"), "free").await;
    }
    let lines = async |query: &str, fields: &[(&str, &str)]| {
        let answer = admin.call("GET", &format!("/admin/audit{query}"), Value::Null, fields).await.expect(200);
        assert_eq!(answer.headers["content-type"], "application/x-ndjson");
        answer.text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["sequence"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let all: Vec<u64> = (1..=701).collect();
    assert_eq!(lines("?format=ndjson", &[]).await, all);
    assert_eq!(lines("", &[("accept", "application/x-ndjson")]).await, all);
    assert_eq!(lines("?format=ndjson&tenant=t-5", &[]).await, [7]);
    assert_eq!(lines(&format!("?format=ndjson&from={}", NOW.0 + 1), &[]).await, [0; 0]);
    assert_eq!(lines(&format!("?format=ndjson&from={}&action=tenant.*", NOW.0), &[]).await, all);
    let checked = admin.get("/admin/audit/verify").await.expect(200).json;
    assert_eq!((&checked["whole"], &checked["rows"], &checked["problems"]), (&json!(true), &json!(701), &json!([])));
    let head = checked["head"].as_str().unwrap();
    assert_eq!(admin.get(&format!("/admin/audit/verify?head={head}")).await.expect(200).json["whole"], true);
    let other = head.replace("701:", "700:");
    assert_eq!(admin.get(&format!("/admin/audit/verify?head={other}")).await.expect(200).json["whole"], false);
    admin.get("/admin/audit/verify?head=701").await.expect(422);
}
