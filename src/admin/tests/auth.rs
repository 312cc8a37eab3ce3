//! Who is let in, as tables.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, Method, Uri};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{Admin, config};
use crate::admin::auth::{Facts, bearer, loopback};

type Fields<'a> = &'a [(&'static str, &'a str)];

fn headers(fields: Fields<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), value.parse().unwrap());
    }
    headers
}

fn admitted(peer: &str, method: Method, fields: Fields<'_>) -> bool {
    let headers = headers(fields);
    let facts = Facts { peer: Some(peer.parse().unwrap()), method: &method, uri: &Uri::from_static("/admin/tenants"), headers: &headers };
    loopback(&facts).is_ok()
}

#[test]
fn without_a_token_only_programs_on_this_machine_are_answered() {
    let host = ("host", "localhost:3000");
    let json = ("content-type", "application/json");
    let cases: &[(&str, Method, Fields<'_>, bool)] = &[
        ("127.0.0.1", Method::GET, &[host], true),
        ("::1", Method::GET, &[("host", "[::1]:3000")], true),
        ("::ffff:127.0.0.1", Method::GET, &[("host", "127.0.0.1")], true),
        ("127.0.0.1", Method::GET, &[("host", "LOCALHOST.")], true),
        ("192.0.2.1", Method::GET, &[host], false),
        ("127.0.0.1", Method::GET, &[], false),
        ("127.0.0.1", Method::GET, &[host, ("host", "evil.com")], false),
        ("127.0.0.1", Method::GET, &[("host", "evil.com")], false),
        ("127.0.0.1", Method::GET, &[("host", "localhost.evil.com")], false),
        ("127.0.0.1", Method::GET, &[("host", "127.0.0.1.evil.com")], false),
        ("127.0.0.1", Method::GET, &[("host", "acme.localhost")], false),
        ("127.0.0.1", Method::GET, &[("host", "192.0.2.1:3000")], false),
        ("127.0.0.1", Method::GET, &[host, ("origin", "http://localhost:3000")], false),
        ("127.0.0.1", Method::GET, &[host, ("origin", "null")], false),
        ("127.0.0.1", Method::GET, &[host, ("forwarded", "for=1.2.3.4")], false),
        ("127.0.0.1", Method::GET, &[host, ("x-forwarded-for", "127.0.0.1")], false),
        ("127.0.0.1", Method::GET, &[host, ("x-real-ip", "127.0.0.1")], false),
        ("127.0.0.1", Method::GET, &[host, ("via", "1.1 proxy")], false),
        ("127.0.0.1", Method::POST, &[host, json], true),
        ("127.0.0.1", Method::POST, &[host, ("content-type", "application/json; charset=utf-8")], true),
        ("127.0.0.1", Method::POST, &[host], false),
        ("127.0.0.1", Method::POST, &[host, ("content-type", "text/plain")], false),
        ("127.0.0.1", Method::POST, &[host, ("content-type", "application/x-www-form-urlencoded")], false),
        ("127.0.0.1", Method::POST, &[host, json, ("content-type", "text/plain")], false),
        ("127.0.0.1", Method::DELETE, &[host], true),
        ("127.0.0.1", Method::DELETE, &[host, ("content-type", "text/plain")], false),
    ];
    for (peer, method, fields, expected) in cases {
        assert_eq!(admitted(peer, method.clone(), fields), *expected, "{peer} {method} {fields:?}");
    }
}

#[test]
fn with_a_token_it_alone_decides() {
    let cases: &[(Fields<'_>, bool)] = &[
        (&[("authorization", "Bearer s3cret")], true),
        (&[("authorization", "bearer s3cret")], true),
        (&[("authorization", "Bearer s3cret"), ("origin", "https://console.example.com")], true),
        (&[], false),
        (&[("host", "localhost")], false),
        (&[("authorization", "Bearer ")], false),
        (&[("authorization", "Bearer s3cre")], false),
        (&[("authorization", "Bearer s3crets")], false),
        (&[("authorization", "Basic s3cret")], false),
        (&[("authorization", "s3cret")], false),
        (&[("authorization", "Bearer s3cret"), ("authorization", "Bearer x")], false),
    ];
    for (fields, expected) in cases {
        assert_eq!(bearer(&headers(fields)) == Some(b"s3cret"), *expected, "{fields:?}");
    }
}

#[tokio::test]
async fn refusals_say_what_is_missing_and_probes_need_nothing() {
    let mut secured = config();
    secured.admin.token = Some(SecretString::from("s3cret"));
    let admin = Admin::with(secured).await;
    let answer = admin.get("/admin/tenants").await.expect(401).code("unauthenticated");
    assert_eq!(answer.json["error"], "Unauthorized");
    assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    admin.get("/livez").await.expect(200);
    admin.get("/readyz").await.expect(200);
    admin.get("/metrics").await.expect(401);
    let bearer = [("authorization", "Bearer s3cret")];
    let made = json!({"name": "Acme", "slug": "acme", "plan": "free"});
    admin.call("POST", "/admin/tenants", made, &bearer).await.expect(201);
    let audit = admin.call("GET", "/admin/audit", Value::Null, &bearer).await.expect(200).json;
    assert_eq!((&audit["data"][0]["actor"], &audit["data"][0]["action"]), (&json!("admin"), &json!("tenant.created")));
    let open = Admin::start().await;
    open.call("GET", "/admin/tenants", Value::Null, &[("origin", "http://x")]).await.expect(403).code("forbidden");
}

#[tokio::test]
async fn over_a_real_socket_the_peer_is_known() {
    let admin = Admin::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = admin.router.clone().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    for (host, status) in [("localhost:3000", "200"), ("evil.com", "403")] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET /admin/tenants HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}
