//! What the app hears: the context that the gateway gives, and nothing that only looks like it.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::upstream::full;
use crate::support::{Answer, TestGateway, Upstream, eventually, tenant};

const ACME: &str = "acme.example.localhost";
const NAMES: [&str; 7] =
    ["X-Tenant-Id", "X-Tenant-Slug", "X-Tenant-Plan", "X-Tenant-Features", "X-User-Id", "X-User-Roles", "X-Request-Id"];

/// What the app heard under a name; `null` where nothing.
#[track_caller]
fn heard(answer: &Answer, name: &str) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["headers"][name].clone()
}

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {ACME}\r\n{fields}\r\n")
}

/// Every spelling of a name that some server reads as this one.
fn spellings(name: &str) -> Vec<String> {
    let mixed = name.replacen('-', "_", 1);
    vec![
        name.to_owned(),
        name.to_uppercase(),
        name.to_lowercase(),
        name.replace('-', "_"),
        name.replace('-', "."),
        mixed.clone(),
        mixed.replace('-', ".").to_uppercase(),
    ]
}

#[tokio::test]
async fn the_app_hears_of_its_tenant_from_the_gateway_alone() {
    let origin = Upstream::echoing().start().await;
    let features = json!({"features": {"sso": false, "beta": true, "advancedAnalytics": true}});
    let gateway = TestGateway::to(&origin).tenant(tenant("acme").plan("pro").with("config", features)).tenant(tenant("globex"));
    let gateway = gateway.start().await;
    let id = gateway.admin(Method::GET, "/admin/tenants/acme", Value::Null).await.json()["id"].clone();

    let forged: Vec<String> = NAMES.into_iter().flat_map(spellings).filter(|name| !name.eq_ignore_ascii_case("x-tenant-id")).collect();
    let fields: String = forged.iter().map(|name| format!("{name}: forged\r\n")).collect();
    let over_http1 = gateway.tls(ACME).await.ask(get(&fields)).await;
    let pairs: Vec<(&str, &str)> = forged.iter().map(|name| (name.as_str(), "forged")).collect();
    let over_http2 = gateway.h2(ACME).await.get(ACME, "/", &pairs).await;
    for answer in [over_http1, over_http2] {
        let document = answer.json();
        let names = document["headers"].as_object().unwrap().keys().filter(|name| {
            let folded = name.to_lowercase().replace(['_', '.'], "-");
            NAMES.iter().any(|reserved| reserved.eq_ignore_ascii_case(&folded))
        });
        let names: Vec<&str> = names.map(String::as_str).collect();
        assert_eq!(names, ["x-request-id", "x-tenant-features", "x-tenant-id", "x-tenant-plan", "x-tenant-slug"]);
        assert_eq!(heard(&answer, "x-tenant-id"), json!([id]));
        assert_eq!(heard(&answer, "x-tenant-slug"), json!(["acme"]));
        assert_eq!(heard(&answer, "x-tenant-plan"), json!(["pro"]));
        assert_eq!(heard(&answer, "x-tenant-features"), json!(["advancedAnalytics,beta"]));
        assert_eq!(heard(&answer, "x-request-id"), json!([answer.header("x-request-id")]));
    }
    let mut globex = gateway.tls("globex.example.localhost").await;
    let answer = globex.ask("GET / HTTP/1.1\r\nHost: globex.example.localhost\r\nX-Tenant-Features: forged\r\n\r\n").await;
    assert_eq!(heard(&answer, "x-tenant-features"), Value::Null);
}

#[tokio::test]
async fn what_is_meant_for_the_next_hop_goes_no_further_and_cannot_take_the_context_along() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).plaintext().tenant(tenant("acme")).start().await;
    let fields = "Connection: close, X-Secret, x-tenant-id,X-Tenant-Slug , X-Request-Id, x-forwarded-for, via, host, Content-Length, authorization\r\n\
                  Connection: x-second\r\nX-Secret: 1\r\nX-Second: 1\r\nAuthorization: Basic Og==\r\nContent-Length: 0\r\n\
                  Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic Og==\r\nTE: gzip, trailers;q=0.5\r\n\
                  Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nX-Third: 1\r\n";
    let answer = gateway.plain().await.ask(get(fields)).await;
    for name in [
        "x-secret",
        "x-second",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "upgrade",
        "http2-settings",
        "authorization",
        "te",
        "transfer-encoding",
    ] {
        assert_eq!(heard(&answer, name), Value::Null, "{name}: {}", answer.text());
    }
    for name in ["x-tenant-id", "x-tenant-slug", "x-request-id", "x-forwarded-for", "via", "host", "x-third"] {
        assert_eq!(heard(&answer, name).as_array().map(Vec::len), Some(1), "{name}: {}", answer.text());
    }
    let trailers = gateway.plain().await.ask(get("TE: trailers\r\nConnection: TE\r\n")).await;
    assert_eq!(heard(&trailers, "te"), json!(["trailers"]));
}

#[tokio::test]
async fn trailers_cannot_say_what_only_a_head_or_the_gateway_may() {
    let origin = Upstream::with(|request| async move {
        let trailers = request.into_body().collect().await.unwrap().trailers().cloned().unwrap_or_default();
        let names: Vec<String> = trailers.keys().map(ToString::to_string).collect();
        Response::new(full(json!(names).to_string()))
    });
    let origin = origin.start().await;
    let gateway = TestGateway::to(&origin).plaintext().tenant(tenant("acme")).start().await;
    let reserved: String = NAMES.into_iter().flat_map(spellings).map(|name| format!("{name}: forged\r\n")).collect();
    let body = format!(
        "2\r\nok\r\n0\r\nX-Checksum: 1\r\n{reserved}X-Forwarded-For: 1.1.1.1\r\nX_Forwarded_Host: a\r\nForwarded: for=1.1.1.1\r\n\
         Authorization: Basic Og==\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nCookie: a=b\r\nX-Api-Key: a\r\n\r\n"
    );
    let head = format!("POST / HTTP/1.1\r\nHost: {ACME}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n");
    let answer = gateway.plain().await.ask(head + &body).await.expect(200);
    assert_eq!(answer.json(), json!(["x-checksum"]));
}

#[tokio::test]
async fn only_trusted_proxies_say_who_is_behind_them() {
    let origin = Upstream::echoing().start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let fields = format!(
        "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8\r\nX-Forwarded-Proto: wss\r\nX-Forwarded-Host: front.test\r\n\
         Forwarded: for=9.9.9.9\r\nX-Real-Ip: 9.9.9.9\r\nX_Forwarded_For: 7.7.7.7\r\nX-Forwarded-Port: 1\r\nX.Forwarded.Host: odd\r\n\
         traceparent: {trace}\r\ntracestate: a=b\r\nVia: 1.0 fred\r\n"
    );
    let start = |proxies: &str| TestGateway::to(&origin).set("listen.trusted_proxies", proxies).tenant(tenant("acme")).start();

    let stranger = start("10.0.0.0/8").await;
    let anew = stranger.tls(ACME).await.ask(get(&fields)).await;
    assert_eq!(heard(&anew, "x-forwarded-for"), json!(["127.0.0.1"]));
    assert_eq!(heard(&anew, "x-forwarded-proto"), json!(["https"]));
    assert_eq!(heard(&anew, "x-forwarded-host"), json!([ACME]));
    assert_eq!(heard(&anew, "forwarded"), json!([format!("for=127.0.0.1;host={ACME};proto=https")]));
    assert_eq!(heard(&anew, "via"), json!(["1.0 fred", "1.1 gatehouse"]));
    for name in ["x-real-ip", "x_forwarded_for", "x-forwarded-port", "x.forwarded.host", "tracestate"] {
        assert_eq!(heard(&anew, name), Value::Null, "{name}");
    }
    let made = heard(&anew, "traceparent")[0].as_str().unwrap().to_owned();
    assert!(made.len() == 55 && made.starts_with("00-") && made[3..35] != trace[3..35], "{made}");
    let h2 = stranger.h2(ACME).await.get(&format!("{ACME}:8443"), "/", &[("x-forwarded-for", "9.9.9.9")]).await;
    assert_eq!(heard(&h2, "x-forwarded-for"), json!(["127.0.0.1"]));
    assert_eq!(heard(&h2, "forwarded"), json!([format!("for=127.0.0.1;host=\"{ACME}:8443\";proto=https")]));
    assert_eq!(heard(&h2, "via"), json!(["2.0 gatehouse"]));

    let proxy = start("127.0.0.0/8").await;
    let continued = proxy.tls(ACME).await.ask(get(&fields)).await;
    assert_eq!(heard(&continued, "x-forwarded-for"), json!(["9.9.9.9, 8.8.8.8, 127.0.0.1"]));
    assert_eq!(heard(&continued, "x-forwarded-proto"), json!(["wss"]));
    assert_eq!(heard(&continued, "x-forwarded-host"), json!(["front.test"]));
    assert_eq!(heard(&continued, "forwarded"), json!([format!("for=9.9.9.9, for=127.0.0.1;host={ACME};proto=https")]));
    assert_eq!(heard(&continued, "traceparent"), json!([trace]));
    assert_eq!(heard(&continued, "tracestate"), json!(["a=b"]));
    assert_eq!(heard(&continued, "x_forwarded_for"), Value::Null);
    let record = proxy.access_record(|record| record["requestId"] == continued.header("x-request-id")).await;
    assert_eq!(record["client"], "8.8.8.8");
    let broken = proxy.tls(ACME).await.ask(get("traceparent: 00-zz-zz-00\r\ntracestate: a=b\r\n")).await;
    assert_eq!(heard(&broken, "tracestate"), Value::Null);
    assert!(heard(&broken, "traceparent")[0].as_str().unwrap().ends_with("-01"));
}

#[tokio::test]
async fn the_host_is_passed_on_as_it_was_sent() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    for host in [ACME, "ACME.Example.localhost", "acme.example.localhost.:1234"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(heard(&gateway.tls(ACME).await.ask(request).await, "host"), json!([host]));
        assert_eq!(heard(&gateway.h2(ACME).await.get(host, "/", &[]).await, "host"), json!([host]));
    }
}

#[tokio::test]
async fn the_cookies_of_h2_reach_the_app_as_one_field() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let answer = gateway.h2(ACME).await.get(ACME, "/", &[("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2; c=3")]).await;
    assert_eq!(heard(&answer, "cookie"), json!(["a=1; b=2; c=3"]));
}

#[tokio::test]
async fn answers_carry_no_reports_no_hop_by_hop_fields_and_one_request_id() {
    let origin = Upstream::with(|_| async {
        let mut response = Response::new(full("hello"));
        for (name, value) in [
            ("x-usage-storage", "+1"),
            ("x-usage-user", "u1"),
            ("x-usage-users", "+1"),
            ("x-usage-projects", "-1"),
            ("connection", "x-secret"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("x-request-id", "of-the-app"),
            ("x-kept", "1"),
        ] {
            response.headers_mut().append(name, value.parse().unwrap());
        }
        response
    });
    let origin = origin.start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let over_http1 = gateway.tls(ACME).await.ask(get("X-Request-Id: of-the-client\r\n")).await.expect(200);
    let over_http2 = gateway.h2(ACME).await.get(ACME, "/", &[("x-request-id", "of-the-client")]).await.expect(200);
    for answer in [&over_http1, &over_http2] {
        for name in ["x-usage-storage", "x-usage-user", "x-usage-users", "x-usage-projects", "x-secret", "keep-alive", "proxy-authenticate"]
        {
            assert!(!answer.headers.contains_key(name), "{name}");
        }
        let ids: Vec<_> = answer.headers.get_all("x-request-id").iter().collect();
        assert!(ids.len() == 1 && ids[0].len() == 32, "{ids:?}");
        assert_eq!(answer.header("x-kept"), "1");
    }
    let ids: Vec<_> = origin.seen().iter().map(|head| head.headers["x-request-id"].clone()).collect();
    assert_eq!(ids, [over_http1.header("x-request-id"), over_http2.header("x-request-id")]);
}

#[tokio::test]
async fn gatehouse_keys_are_taken_off_and_the_apps_credentials_pass() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    let key = gateway.key("acme", json!({})).await;
    let other = gateway.key("globex", json!({})).await;
    let (bearer, basic) = (format!("Bearer {key}"), "Basic YTpi");
    type Fields<'f> = &'f [(&'f str, &'f str)];
    let passed: [(Fields<'_>, Value, Value); 7] = [
        (&[("authorization", basic)], json!([basic]), Value::Null),
        (&[("authorization", "Bearer eyJ.a.b"), ("x-api-key", "sk_app")], json!(["Bearer eyJ.a.b"]), json!(["sk_app"])),
        (&[("authorization", &bearer)], Value::Null, Value::Null),
        (&[("authorization", &bearer), ("x-api-key", "sk_app")], Value::Null, json!(["sk_app"])),
        (&[("authorization", basic), ("x-api-key", &key)], json!([basic]), Value::Null),
        (&[("authorization", basic), ("authorization", &bearer)], json!([basic]), Value::Null),
        (&[("x-api-key", "GH_not_ours")], Value::Null, json!(["GH_not_ours"])),
    ];
    let refused: [(Fields<'_>, u16, &str); 5] = [
        (&[("authorization", "Bearer gh_live_wrong")], 401, "unauthenticated"),
        (&[("x-api-key", "gh_test_wrong")], 401, "unauthenticated"),
        (&[("authorization", basic), ("x-api-key", "gh_live_wrong")], 401, "unauthenticated"),
        (&[("authorization", &bearer), ("x-api-key", &other)], 401, "unauthenticated"),
        (&[("x-api-key", &other)], 403, "tenant_mismatch"),
    ];
    let h2 = gateway.h2(ACME).await;
    let mut wire = gateway.tls(ACME).await;
    let http1 = |fields: Fields<'_>| get(&fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>());
    for (fields, authorization, api_key) in passed {
        for answer in [h2.get(ACME, "/", fields).await, wire.ask(http1(fields)).await] {
            assert_eq!(heard(&answer, "authorization"), authorization, "{fields:?}");
            assert_eq!(heard(&answer, "x-api-key"), api_key, "{fields:?}");
        }
    }
    let before = origin.seen().len();
    for (fields, status, code) in refused {
        h2.get(ACME, "/", fields).await.expect(status).code(code);
        wire.ask(http1(fields)).await.expect(status).code(code);
    }
    assert_eq!(origin.seen().len(), before, "what was refused reached the app");
}

#[tokio::test]
async fn a_key_that_is_revoked_or_expires_opens_nothing_any_more_on_open_connections_too() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let keys = "/admin/tenants/acme/keys";
    let made = gateway.admin(Method::POST, keys, json!({"name": "to be revoked"})).await.expect(201).json();
    let with = |key: &str| get(&format!("X-Api-Key: {key}\r\n"));
    let revoked = made["secret"].as_str().unwrap().to_owned();
    let mut wire = gateway.tls(ACME).await;
    let h2 = gateway.h2("api.example.localhost").await;
    let on_api = async |key: &str| h2.get("api.example.localhost", "/", &[("x-api-key", key)]).await;
    wire.ask(with(&revoked)).await.expect(200);
    on_api(&revoked).await.expect(200);
    gateway.admin(Method::DELETE, &format!("{keys}/{}", made["id"].as_str().unwrap()), Value::Null).await.expect(200);
    wire.ask(with(&revoked)).await.expect(401).code("unauthenticated");
    on_api(&revoked).await.expect(401).code("unauthenticated");

    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let at = now + 1500;
    let expiring = gateway.key("acme", json!({"expiresAt": at})).await;
    wire.ask(with(&expiring)).await.expect(200);
    let wire = tokio::sync::Mutex::new(wire);
    eventually("the key has expired", || async { (wire.lock().await.ask(with(&expiring)).await.status == 401).then_some(()) }).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    assert!(now >= at, "the key was refused {} ms too early", at - now);
    on_api(&expiring).await.expect(401).code("unauthenticated");
}

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let key = gateway.key("acme", json!({})).await;
    let h2 = gateway.h2(ACME).await;
    let answers = [
        h2.get(ACME, "/", &[]).await.expect(200),
        h2.get(ACME, "/api/tenant", &[("x-api-key", &key)]).await.expect(200),
        h2.get(ACME, "/api/tenant", &[]).await.expect(401),
        h2.get("nobody.example.localhost", "/", &[]).await.expect(421),
        h2.send(Request::trace(format!("https://{ACME}/")).body(Full::<Bytes>::default()).unwrap()).await.unwrap().expect(405),
        gateway.plain().await.ask(get("")).await.expect(308),
        gateway.plain().await.ask("GET / HTTP/1.1\r\n\r\n").await.expect(400),
    ];
    let ids: std::collections::HashSet<_> = answers.iter().map(|answer| answer.header("x-request-id").to_owned()).collect();
    assert!(ids.len() == answers.len() && ids.iter().all(|id| id.len() == 32), "{ids:?}");
}
