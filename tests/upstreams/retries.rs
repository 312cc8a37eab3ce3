//! A reused connection that closed: what may be repeated is repeated once and counted once, everything else is not.

use serde_json::json;

use crate::support::{Raw, RawUpstream, TestGateway, tenant, within};

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn request(method: &str, more: &str) -> String {
    format!("{method} /{method} HTTP/1.1\r\nhost: acme.example.localhost\r\n{more}")
}

/// A client and an app whose connections have served one request, and so are used again.
async fn used_once() -> (TestGateway, RawUpstream, Raw, Raw) {
    let origin = RawUpstream::listen().await;
    // One worker, so that the next request finds the connection of the first.
    let gateway = TestGateway::to_url(&origin.url()).set("listen.workers", "1").tenant(tenant("acme")).start().await;
    let mut client = gateway.raw("acme").await;
    client.send(request("GET", "\r\n")).await;
    let (mut app, _) = origin.head().await;
    app.send(NO_CONTENT).await;
    assert_eq!(client.head().await.status(), 204);
    (gateway, origin, client, app)
}

async fn calls(gateway: &TestGateway) -> serde_json::Value {
    gateway.usage("acme").await["apiCalls"].clone()
}

#[tokio::test]
async fn an_idempotent_request_without_a_body_is_sent_once_more_and_counted_once() {
    for method in ["GET", "HEAD", "DELETE", "PUT", "OPTIONS"] {
        let (gateway, origin, mut client, mut app) = used_once().await;
        let length = if method == "PUT" { "content-length: 0\r\n\r\n" } else { "\r\n" };
        client.send(request(method, length)).await;
        let first = app.head().await;
        drop(app);
        let (mut app, second) = origin.head().await;
        assert_eq!((&first.first, first.field("x-request-id")), (&second.first, second.field("x-request-id")));
        app.send(NO_CONTENT).await;
        assert_eq!(client.head().await.status(), 204);
        assert_eq!(calls(&gateway).await, json!(2), "{method}");
    }
}

#[tokio::test]
async fn it_is_not_sent_a_third_time() {
    let (gateway, origin, mut client, mut app) = used_once().await;
    client.send(request("GET", "\r\n")).await;
    app.head().await;
    drop(app);
    drop(origin.head().await);
    client.message().await.refused(502, "upstream_unreachable", "connection_terminated");
    assert_eq!(calls(&gateway).await, json!(1));
    // The next connection is that of the next request.
    client.send(request("OPTIONS", "\r\n")).await;
    let (mut app, head) = origin.head().await;
    assert_eq!(head.first, "OPTIONS /OPTIONS HTTP/1.1");
    app.send(NO_CONTENT).await;
    assert_eq!(client.head().await.status(), 204);
}

#[tokio::test]
async fn what_may_do_harm_twice_is_sent_once() {
    let cases = [("POST", "content-length: 0\r\n\r\n", 0), ("PATCH", "\r\n", 0), ("PUT", "content-length: 4\r\n\r\nbody", 4)];
    for (method, rest, length) in cases {
        let (gateway, origin, mut client, mut app) = used_once().await;
        client.send(request(method, rest)).await;
        app.head().await;
        app.take(length).await;
        drop(app);
        client.message().await.refused(502, "upstream_unreachable", "connection_terminated");
        assert_eq!(calls(&gateway).await, json!(1), "{method}");
        client.send(request("GET", "\r\n")).await;
        let (mut app, head) = origin.head().await;
        assert_eq!(head.first, "GET /GET HTTP/1.1", "{method} was sent twice");
        app.send(NO_CONTENT).await;
        assert_eq!(client.head().await.status(), 204);
    }
}

#[tokio::test]
async fn an_answer_that_has_begun_is_not_asked_for_again() {
    let (gateway, _origin, mut client, mut app) = used_once().await;
    client.send(request("GET", "\r\n")).await;
    app.head().await;
    app.send("HTTP/1.1 2").await;
    drop(app);
    client.message().await.refused(502, "upstream_unreachable", "connection_terminated");
    assert_eq!(calls(&gateway).await, json!(1));
}

#[tokio::test]
async fn a_connection_that_closed_while_it_was_idle_is_not_used() {
    let (gateway, origin, mut client, app) = used_once().await;
    drop(app);
    client.send(request("POST", "content-length: 4\r\n\r\nbody")).await;
    let (mut app, request) = origin.request().await;
    assert_eq!(request.body, b"body");
    app.send(NO_CONTENT).await;
    assert_eq!(within("an answer", client.head()).await.status(), 204);
    assert_eq!(calls(&gateway).await, json!(2));
}
