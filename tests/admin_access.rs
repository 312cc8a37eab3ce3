//! Who may use the admin listener: without a token this machine's own programs, with one whoever has it.

use crate::support::wire::Wire;
use crate::support::{Answer, Raw, TestGateway, Upstream, tenant};

async fn ask(gateway: &TestGateway, line: &str, fields: &[&str], body: &str) -> Answer {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let request = format!("{line} HTTP/1.1\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len());
    Wire::to(gateway.admin).await.ask(request).await
}

#[tokio::test]
async fn without_a_token_only_plain_requests_of_this_machine_are_answered() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).plaintext().tenant(tenant("acme")).start().await;
    let list = "GET /admin/tenants";
    for host in ["localhost", "LOCALHOST:3000", "localhost.", "127.0.0.1", "127.0.0.1:3000", "127.1.2.3", "[::1]", "[::1]:3000"] {
        ask(&gateway, list, &[&format!("Host: {host}")], "").await.expect(200);
    }
    for host in [
        "evil.test",
        "localhost.evil.test",
        "127.0.0.1.evil.test",
        "127.evil.test",
        "10.0.0.1",
        "[2001:db8::1]",
        "0.0.0.0",
        "acme.example.localhost",
    ] {
        ask(&gateway, list, &[&format!("Host: {host}")], "").await.expect(403).code("forbidden");
        ask(&gateway, "GET /metrics", &[&format!("Host: {host}")], "").await.expect(403);
        ask(&gateway, "GET /openapi.json", &[&format!("Host: {host}")], "").await.expect(403);
    }
    for field in [
        "Origin: http://localhost:3000",
        "Origin: null",
        "Origin: https://evil.test",
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Host: localhost",
        "X-Forwarded-Proto: http",
        "Forwarded: for=127.0.0.1",
        "X-Real-Ip: 127.0.0.1",
        "Via: 1.1 front",
        "Host: localhost",
    ] {
        ask(&gateway, list, &["Host: localhost", field], "").await.expect(403).code("forbidden");
    }
    ask(&gateway, "GET http://evil.test/admin/tenants", &["Host: localhost"], "").await.expect(403);
    let tenant = r#"{"name": "A", "slug": "from-a-page", "plan": "free"}"#;
    for kind in
        ["", "Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded", "Content-Type: multipart/form-data; boundary=x"]
    {
        let fields: Vec<&str> = ["Host: localhost", kind].into_iter().filter(|field| !field.is_empty()).collect();
        ask(&gateway, "POST /admin/tenants", &fields, tenant).await.expect(403).code("forbidden");
        ask(&gateway, "POST /admin/tenants/acme/suspend", &fields, "").await.expect(403).code("forbidden");
        ask(&gateway, "PUT /admin/tenants/acme/subscription", &fields, "").await.expect(403).code("forbidden");
        ask(&gateway, "PATCH /admin/tenants/acme", &fields, "").await.expect(403).code("forbidden");
    }
    gateway.get("acme", "/").await.expect(200);
    gateway.get("from-a-page", "/").await.expect(404);
    ask(&gateway, "POST /admin/tenants", &["Host: localhost", "Content-Type: application/json; charset=utf-8"], tenant).await.expect(201);
    ask(&gateway, "DELETE /admin/tenants/from-a-page", &["Host: localhost"], "").await.expect(200);
    for probe in ["GET /livez", "GET /readyz"] {
        ask(&gateway, probe, &["Host: 10.0.0.1:3000", "X-Forwarded-For: 10.0.0.2"], "").await.expect(200);
    }
}

#[tokio::test]
async fn with_a_token_whoever_has_it_is_answered_and_nobody_else() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).plaintext().set("admin.token", "s3cret-token-of-the-test").start().await;
    let right = "Authorization: Bearer s3cret-token-of-the-test";
    let list = "GET /admin/tenants";
    ask(&gateway, list, &["Host: localhost", right], "").await.expect(200);
    ask(&gateway, list, &["Host: admin.corp.test", right, "X-Forwarded-For: 9.9.9.9", "Origin: https://admin.corp.test"], "")
        .await
        .expect(200);
    ask(&gateway, list, &["Host: localhost", "authorization: bearer s3cret-token-of-the-test"], "").await.expect(200);
    for path in ["/admin/tenants", "/metrics", "/openapi.json", "/docs", "/admin/audit", "/api/tenant", "/nothing"] {
        let answer = ask(&gateway, &format!("GET {path}"), &["Host: localhost"], "").await.expect(401);
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{path}");
        answer.code("unauthenticated");
    }
    for wrong in [
        "Authorization: Bearer s3cret-token-of-the-tesT",
        "Authorization: Bearer s3cret-token-of-the-test-",
        "Authorization: Bearer s3cret",
        "Authorization: Bearer",
        "Authorization: Bearer ",
        "Authorization: Basic s3cret-token-of-the-test",
        "Authorization: s3cret-token-of-the-test",
        "X-Api-Key: s3cret-token-of-the-test",
        "Cookie: token=s3cret-token-of-the-test",
    ] {
        ask(&gateway, list, &["Host: localhost", wrong], "").await.expect(401).code("unauthenticated");
    }
    ask(&gateway, list, &["Host: localhost", right, right], "").await.expect(401);
    ask(&gateway, "GET /admin/tenants?token=s3cret-token-of-the-test", &["Host: localhost"], "").await.expect(401);
    for probe in ["GET /livez", "GET /readyz"] {
        ask(&gateway, probe, &["Host: 10.0.0.1:3000"], "").await.expect(200);
    }
}

#[tokio::test]
async fn a_head_or_a_body_that_does_not_come_holds_no_connection() {
    let origin = Upstream::replying("hello").start().await;
    let started = TestGateway::to(&origin).plaintext().set("limits.header_timeout", "1s").set("limits.idle_timeout", "1s").start();
    let gateway = started.await;
    let connect = async || Raw::over(tokio::net::TcpStream::connect(gateway.admin).await.unwrap());
    let mut slow = connect().await;
    slow.send("GET /livez HTTP/1.1\r\nHost: loc").await;
    assert_eq!(slow.rest().await, b"");
    let mut slow = connect().await;
    slow.send("POST /admin/tenants HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{").await;
    assert_eq!(slow.message().await.head.status(), 400);
    ask(&gateway, "GET /livez", &["Host: localhost"], "").await.expect(200);
}
