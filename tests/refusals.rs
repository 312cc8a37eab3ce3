//! Every refusal says what it is, whose fault, and when to come back: to the client, in the access log and in the usage.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Response;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::support::upstream::full;
use crate::support::wire::Wire;
use crate::support::{Answer, TestGateway, Upstream, eventually, tenant};

/// What a refusal shall look like.
struct Row {
    answer: Answer,
    status: u16,
    code: &'static str,
    error: &'static str,
    owner: &'static str,
    tenant: Option<&'static str>,
}

fn row(answer: Answer, status: u16, code: &'static str, error: &'static str, owner: &'static str, tenant: Option<&'static str>) -> Row {
    Row { answer, status, code, error, owner, tenant }
}

impl Row {
    async fn check(self, gateway: &TestGateway) {
        let Self { answer, status, code, error, owner, tenant } = self;
        let answer = answer.expect(status).code(code);
        let document = answer.json();
        assert_eq!(document["error"], error, "{document}");
        for member in ["type", "title", "detail"] {
            assert!(document[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {document}");
        }
        assert!(document["type"].as_str().unwrap().ends_with(code), "{document}");
        assert!(answer.header("proxy-status").starts_with("gatehouse; error="), "{code}: {:?}", answer.headers);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401, "{code}");
        assert_eq!(answer.headers.contains_key("allow"), status == 405, "{code}");
        let retry = answer.headers.get("retry-after").map(|value| value.to_str().unwrap().parse::<u64>().unwrap());
        assert_eq!(retry.is_some(), status == 429, "{code}: {retry:?}");
        assert!(retry.is_none_or(|seconds| seconds > 0), "{code}: {retry:?}");
        let record = gateway.access_record(|record| record["requestId"] == document["requestId"]).await;
        assert_eq!((&record["status"], &record["code"], &record["owner"]), (&status.into(), &code.into(), &owner.into()), "{record}");
        assert_eq!(record["slug"], json!(tenant), "{record}");
    }
}

fn get(host: &str, path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")
}

#[tokio::test]
async fn what_the_client_did_wrong_is_told_with_its_code() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin)
        .set("limits.max_body", "1KiB")
        .toml("[[route]]\npath = \"/analytics/*\"\nfeature = \"advancedAnalytics\"\n[[route]]\npath = \"/owners\"\nroles = [\"owner\"]")
        .tenant(tenant("acme"))
        .tenant(tenant("globex"))
        .tenant(tenant("initech"))
        .start()
        .await;
    gateway.admin(Method::POST, "/admin/tenants/initech/suspend", json!({"reason": "unpaid"})).await.expect(200);
    let (key, other) = (gateway.key("acme", json!({"roles": ["viewer"]})).await, gateway.key("globex", json!({})).await);
    let host = "acme.example.localhost";
    let ask = async |sni: &str, request: String| gateway.tls(sni).await.ask(request).await;
    let acme = async |path: &str, fields: &str| ask(host, get(host, path, fields)).await;
    let keyed = |key: &str| format!("X-Api-Key: {key}\r\n");
    let (a, c) = (Some("acme"), "client");
    let long = "a".repeat(20_000);
    let rows = [
        row(ask(host, "GET / HTTP/1.1\r\n\r\n".into()).await, 400, "bad_request", "Bad request", c, None),
        row(ask(host, format!("TRACE / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await, 405, "method_not_allowed", "Method not allowed", c, None),
        row(acme("/api/tenant", "").await, 401, "unauthenticated", "Unauthorized", c, a),
        row(acme("/", &keyed("gh_live_wrong")).await, 401, "unauthenticated", "Unauthorized", c, a),
        row(acme("/owners", "").await, 401, "unauthenticated", "Unauthorized", c, a),
        row(acme("/owners", &keyed(&key)).await, 403, "forbidden", "Insufficient permissions", c, a),
        row(acme("/", &keyed(&other)).await, 403, "tenant_mismatch", "Tenant mismatch", c, a),
        row(acme("/", "X-Tenant-Id: globex\r\n").await, 403, "tenant_mismatch", "Tenant mismatch", c, a),
        row(acme("/analytics/x", "").await, 403, "feature_disabled", "Feature disabled", "tenant", a),
        row(gateway.get("initech", "/").await, 403, "tenant_suspended", "Tenant suspended", "tenant", Some("initech")),
        row(gateway.get("nobody", "/").await, 404, "tenant_not_found", "Tenant not found", c, None),
        row(acme("/", "Content-Length: 1025\r\n").await, 413, "body_too_large", "Body too large", c, None),
        row(acme(&format!("/{long}"), "").await, 414, "uri_too_long", "URI too long", c, None),
        row(acme("/", &format!("X-A: {long}\r\n")).await, 431, "headers_too_large", "Header fields too large", c, None),
        row(ask("globex.example.localhost", get(host, "/", "")).await, 421, "misdirected_request", "Misdirected request", c, None),
    ];
    for row in rows {
        row.check(&gateway).await;
    }
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["apiCalls"], &usage["rejected"]), (&json!(0), &json!(7)), "{usage}");
    assert_eq!(gateway.usage("initech").await["rejected"], 1);
    assert!(origin.seen().is_empty());
}

#[tokio::test]
async fn head_is_answered_with_the_fields_of_get_and_without_a_body() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let key = gateway.key("acme", json!({})).await;
    let http1 = gateway.client_with(|builder| builder.http1_only().pool_max_idle_per_host(1));
    for (client, version) in [(&http1, http::Version::HTTP_11), (&gateway.client, http::Version::HTTP_2)] {
        for (path, key, status) in [("/", "of-the-app", 200), ("/", "gh_live_wrong", 401), ("/api/tenant", &*key, 200)] {
            let ask = async |method| client.request(method, gateway.url("acme", path)).header("x-api-key", key).send().await.unwrap();
            let head = ask(Method::HEAD).await;
            assert_eq!(head.version(), version);
            let (head, get) = (Answer::of(head).await.expect(status), Answer::of(ask(Method::GET).await).await.expect(status));
            assert_eq!((head.body.len(), head.header("content-length")), (0, get.body.len().to_string().as_str()), "{version:?} {path}");
        }
    }
    let record = gateway.access_record(|record| record["method"] == "HEAD" && record["status"] == 401).await;
    assert_eq!(record["bytesOut"], 0);
}

#[tokio::test]
async fn a_tenant_that_is_not_served_any_more_looks_like_one_that_never_was() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("canceled").plan("pro")).tenant(tenant("deleted").plan("pro")).start().await;
    let key = gateway.key("canceled", json!({})).await;
    gateway.get("canceled", "/").await.expect(200);
    gateway.admin(Method::POST, "/admin/tenants/canceled/cancel", json!({"atPeriodEnd": false})).await.expect(200);
    gateway.admin(Method::DELETE, "/admin/tenants/deleted", Value::Null).await.expect(200);
    let shown = |answer: &Answer| {
        let names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        let mut document = answer.json();
        document["requestId"] = Value::Null;
        (answer.status, names, document)
    };
    let nobody = shown(&gateway.get("nobody", "/").await.expect(404).code("tenant_not_found"));
    for slug in ["canceled", "deleted"] {
        assert_eq!(shown(&gateway.get(slug, "/").await), nobody, "{slug}");
    }
    let api = gateway.h2("api.example.localhost").await;
    api.get("api.example.localhost", "/", &[("x-api-key", &key)]).await.expect(404).code("tenant_not_found");
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn what_a_plan_does_not_allow_is_told_with_when_to_come_back() {
    let (held, waiting) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (hold, arrived) = (Arc::clone(&held), Arc::clone(&waiting));
    let origin = Upstream::with(move |request| {
        let (hold, arrived) = (Arc::clone(&hold), Arc::clone(&arrived));
        async move {
            if request.uri().path() == "/held" {
                arrived.fetch_add(1, Ordering::SeqCst);
                hold.notified().await;
            }
            Response::new(full("twenty octets of it."))
        }
    });
    let origin = origin.start().await;
    let gateway = TestGateway::to(&origin)
        .tenant(tenant("rate").per_second(1))
        .tenant(tenant("calls").calls_per_day(2).per_second(50))
        .tenant(tenant("bytes").bytes_per_month(20).calls_per_day(9))
        .tenant(tenant("flight").concurrency(1).per_second(50))
        .start()
        .await;
    gateway.get("rate", "/").await.expect(200);
    let rate = gateway.get("rate", "/").await;
    assert_eq!(rate.header("retry-after"), "1");
    assert_eq!(rate.header("ratelimit-policy"), "\"burst\";q=1;w=1");
    assert_eq!(rate.header("ratelimit"), "\"burst\";r=0;t=1");
    row(rate, 429, "rate_limited", "Rate limit exceeded", "tenant", Some("rate")).check(&gateway).await;

    let first = gateway.get("calls", "/").await.expect(200);
    assert_eq!(first.header("ratelimit-policy"), "\"burst\";q=50;w=1, \"day\";q=2;w=86400");
    let (left, resets) = day_of(first.header("ratelimit"));
    assert!(left == 1 && (1..=86400).contains(&resets), "{:?}", first.headers);
    assert!(first.header("ratelimit").starts_with("\"burst\";r=49;t=1, \"day\";"), "{:?}", first.headers);
    gateway.get("calls", "/").await.expect(200);
    let calls = gateway.get("calls", "/").await;
    assert_eq!(day_of(calls.header("ratelimit")).0, 0);
    let violation = &calls.json()["violations"][0];
    assert_eq!((&violation["resource"], &violation["limit"], &violation["used"]), (&json!("apiCalls"), &json!(2), &json!(2)));
    let seconds = calls.header("retry-after").parse::<u64>().unwrap();
    assert!(seconds <= 86400 && violation["resetsAt"].as_u64().unwrap() % 86_400_000 == 0, "{violation}");
    row(calls, 429, "quota_exceeded", "Usage limits exceeded", "tenant", Some("calls")).check(&gateway).await;

    gateway.get("bytes", "/").await.expect(200);
    let bytes = gateway.get("bytes", "/").await;
    let violation = &bytes.json()["violations"][0];
    assert_eq!((&violation["resource"], &violation["limit"], &violation["used"]), (&json!("bandwidth"), &json!(20), &json!(20)));
    assert_eq!(day_of(bytes.header("ratelimit")).0, 8, "a refusal takes no call");
    row(bytes, 429, "quota_exceeded", "Usage limits exceeded", "tenant", Some("bytes")).check(&gateway).await;

    let under_way = tokio::spawn(gateway.request(Method::GET, "flight", "/held").send());
    eventually("the first is under way", || async { (waiting.load(Ordering::SeqCst) == 1).then_some(()) }).await;
    let second = gateway.get("flight", "/").await;
    assert!(second.headers.contains_key("ratelimit-policy"));
    row(second, 429, "too_many_concurrent_requests", "Too many concurrent requests", "tenant", Some("flight")).check(&gateway).await;
    held.notify_one();
    Answer::of(under_way.await.unwrap().unwrap()).await.expect(200);
    for (slug, calls) in [("rate", 1), ("calls", 2), ("bytes", 1), ("flight", 1)] {
        let usage = gateway.usage(slug).await;
        assert_eq!((&usage["apiCalls"], &usage["rejected"]), (&json!(calls), &json!(1)), "{slug}: {usage}");
    }
}

/// What is left of the day, and the seconds to its end.
#[track_caller]
fn day_of(field: &str) -> (u64, u64) {
    let day = field.split(", ").find_map(|item| item.strip_prefix("\"day\";r=")).unwrap_or_else(|| panic!("no day in {field:?}"));
    let (left, seconds) = day.split_once(";t=").unwrap();
    (left.parse().unwrap(), seconds.parse().unwrap())
}

#[tokio::test]
async fn limits_are_shown_on_every_answer_of_limited_tenants_and_on_no_other() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme").plan("pro")).tenant(tenant("globex").plan("enterprise")).start().await;
    let key = gateway.key("acme", json!({})).await;
    for (path, field, status) in [("/", "none", 200), ("/api/usage", key.as_str(), 200), ("/", "gh_live_wrong", 401)] {
        let request = gateway.request(Method::GET, "acme", path).header("x-api-key", field);
        let answer = crate::support::gateway::send(request).await.expect(status);
        assert_eq!(answer.header("ratelimit-policy"), "\"burst\";q=1000;w=2, \"day\";q=100000;w=86400");
        assert!(answer.header("ratelimit").contains("\"day\";r="), "{path}: {:?}", answer.headers);
    }
    for path in ["/", "/api/usage"] {
        let answer = gateway.get("globex", path).await;
        assert!(!answer.headers.contains_key("ratelimit") && !answer.headers.contains_key("ratelimit-policy"), "{:?}", answer.headers);
    }
}

#[tokio::test]
async fn an_upstream_that_fails_is_told_as_such_not_billed_and_the_connection_goes_on() {
    // Bound and not listening: nobody else gets the port, and nobody answers there.
    let closed = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    closed.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let refusing = format!("http://{}", closed.local_addr().unwrap().as_socket().unwrap());
    let (closing, garbled, silent) = (raw_origin("").await, raw_origin("SSH-2.0-x\r\n").await, raw_origin("wait").await);
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin)
        .plaintext()
        .set("upstream.response_timeout", "300ms")
        .tenant(tenant("acme"))
        .tenant(tenant("refusing").with("upstream", refusing))
        .tenant(tenant("closing").with("upstream", closing))
        .tenant(tenant("garbled").with("upstream", garbled))
        .tenant(tenant("silent").with("upstream", silent))
        .start()
        .await;
    let mut wire = Wire::to(gateway.http).await;
    for (slug, status, code, error) in [
        ("refusing", 502, "upstream_unreachable", "Upstream unreachable"),
        ("closing", 502, "upstream_unreachable", "Upstream unreachable"),
        ("garbled", 502, "upstream_unreachable", "Upstream unreachable"),
        ("silent", 504, "upstream_timeout", "Upstream timeout"),
    ] {
        let answer = wire.ask(get(&format!("{slug}.example.localhost"), "/", "")).await;
        row(answer, status, code, error, "upstream", Some(slug)).check(&gateway).await;
        assert_eq!(gateway.usage(slug).await["apiCalls"], 0, "{slug}");
    }
    wire.ask(get("acme.example.localhost", "/", "")).await.expect(200);
}

/// An upstream that reads what comes, says this, and closes; with `wait` it says nothing and keeps the connection.
async fn raw_origin(says: &'static str) -> Value {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut octets = [0; 4096];
                let _ = stream.read(&mut octets).await;
                if says == "wait" {
                    while stream.read(&mut octets).await.is_ok_and(|count| count > 0) {}
                }
                let _ = stream.write_all(says.as_bytes()).await;
            });
        }
    });
    format!("http://{address}").into()
}
