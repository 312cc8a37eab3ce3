//! What flows, flows at once: events one by one, both directions at the same time, interim answers, answers before the end of
//! an upload. Each step waits for the one before it, so that anything kept back stops the test.

use bytes::Bytes;

use crate::support::connect::{head_of, piece_of, push};
use crate::support::{Raw, RawUpstream, TestGateway, tenant};

async fn gateway(origin: &RawUpstream) -> TestGateway {
    TestGateway::to_url(&origin.url()).tenant(tenant("acme")).start().await
}

/// Chunked where `framing` says so, else up to the end of the connection.
async fn events_arrive_one_by_one(http2: bool, chunked: bool) {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let client = gateway.client_with(|builder| if http2 { builder.http2_prior_knowledge() } else { builder.http1_only() });
    let asked = tokio::spawn(client.get(gateway.url("acme", "/events")).send());
    let (mut app, _) = origin.head().await;
    let framing = if chunked { "transfer-encoding: chunked" } else { "x-framing: none" };
    app.send(format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{framing}\r\n\r\n")).await;
    let mut answer = asked.await.unwrap().unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    for number in 0..20 {
        let event = format!("id: {number}\ndata: x\n\n");
        app.send(if chunked { format!("{:x}\r\n{event}\r\n", event.len()) } else { event.clone() }).await;
        let mut arrived = Vec::new();
        while arrived.len() < event.len() {
            arrived.extend(crate::support::within("an event", answer.chunk()).await.unwrap().unwrap());
        }
        assert_eq!(String::from_utf8(arrived).unwrap(), event);
    }
    if chunked {
        app.send("0\r\n\r\n").await;
    }
    drop(app);
    assert_eq!(answer.text().await.unwrap(), "");
}

#[tokio::test]
async fn events_in_chunks_arrive_one_by_one_over_http_1_1() {
    events_arrive_one_by_one(false, true).await;
}

#[tokio::test]
async fn events_in_chunks_arrive_one_by_one_over_http_2() {
    events_arrive_one_by_one(true, true).await;
}

#[tokio::test]
async fn events_up_to_the_end_of_the_connection_arrive_one_by_one() {
    events_arrive_one_by_one(false, false).await;
    events_arrive_one_by_one(true, false).await;
}

#[tokio::test]
async fn events_arrive_one_by_one_at_an_http_1_0_client() {
    for (framing, chunked) in [("transfer-encoding: chunked", true), ("x-framing: none", false)] {
        let origin = RawUpstream::listen().await;
        let gateway = gateway(&origin).await;
        let mut client = gateway.raw("acme").await;
        client.send("GET /events HTTP/1.0\r\nhost: acme.example.localhost\r\n\r\n").await;
        let (mut app, _) = origin.head().await;
        app.send(format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{framing}\r\n\r\n")).await;
        let head = client.head().await;
        assert_eq!((head.status(), head.field("transfer-encoding"), head.field("content-length")), (200, None, None));
        for number in 0..20 {
            let event = format!("id: {number}\ndata: x\n\n");
            app.send(if chunked { format!("{:x}\r\n{event}\r\n", event.len()) } else { event.clone() }).await;
            assert_eq!(client.take(event.len()).await, event.as_bytes());
        }
        if chunked {
            app.send("0\r\n\r\n").await;
        }
        drop(app);
        assert_eq!(client.rest().await, b"");
    }
}

#[tokio::test]
async fn both_directions_flow_at_once_over_http_1_1() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    client.send("POST /chat HTTP/1.1\r\nhost: acme.example.localhost\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let (mut app, _) = origin.head().await;
    app.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
    assert_eq!(client.head().await.status(), 200);
    for word in ["one", "two", "three", "four", "five"] {
        client.send(format!("{:x}\r\n{word}\r\n", word.len())).await;
        assert_eq!(app.chunk().await, word.as_bytes());
        app.send(format!("{:x}\r\n{word}\r\n", word.len())).await;
        assert_eq!(client.chunk().await, word.as_bytes());
    }
}

#[tokio::test]
async fn both_directions_flow_at_once_over_http_2() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.h2_streams("acme").await;
    let (response, mut stream) = client.begin("POST", "/chat", true).await;
    let (mut app, _) = origin.head().await;
    app.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let mut response = head_of(response).await;
    for word in ["one", "two", "three", "four", "five"] {
        push(&mut stream, Bytes::from(word), false).await.unwrap();
        assert_eq!(app.chunk().await, word.as_bytes());
        app.send(format!("{:x}\r\n{word}\r\n", word.len())).await;
        assert_eq!(piece_of(response.body_mut()).await.unwrap().unwrap(), word);
    }
}

#[tokio::test]
async fn a_client_that_waits_for_a_100_gets_the_apps() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    client.send("PUT /file HTTP/1.1\r\nhost: acme.example.localhost\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n").await;
    let (mut app, head) = origin.head().await;
    assert_eq!(head.field("expect"), Some("100-continue"));
    app.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(client.head().await.status(), 100);
    client.send("hello").await;
    assert_eq!(app.take(5).await, b"hello");
    app.send("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(client.head().await.status(), 201);
    // Nothing is left over on either side: both connections serve another request.
    client.send("GET / HTTP/1.1\r\nhost: acme.example.localhost\r\n\r\n").await;
    app.head().await;
    app.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(client.head().await.status(), 204);
}

#[tokio::test]
async fn an_app_that_refuses_before_the_body_spares_the_client_its_body() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    client.send("PUT /file HTTP/1.1\r\nhost: acme.example.localhost\r\ncontent-length: 5000000\r\nexpect: 100-continue\r\n\r\n").await;
    let (mut app, _) = origin.head().await;
    app.send("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 2\r\n\r\nno").await;
    let answer = client.message().await;
    assert_eq!((answer.head.status(), answer.body.as_slice()), (417, &b"no"[..]));
    assert_eq!(answer.head.field("x-request-id").map(str::is_empty), Some(false));
    // The request is not complete, so neither connection can be used again.
    assert_eq!(app.rest().await, b"");
    assert_eq!(client.rest().await, b"");
}

/// Begins an upload of which the app reads only the head; the app's answer.
async fn answered_early(origin: &RawUpstream) -> Raw {
    let (mut app, _) = origin.head().await;
    app.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 7\r\n\r\nenough!").await;
    app
}

#[tokio::test]
async fn an_answer_before_the_end_of_an_upload_arrives_over_http_1_1() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    client.send("POST / HTTP/1.1\r\nhost: acme.example.localhost\r\ncontent-length: 90000000\r\n\r\nbegun").await;
    let mut app = answered_early(&origin).await;
    let answer = client.message().await;
    assert_eq!((answer.head.status(), answer.body.as_slice()), (403, &b"enough!"[..]));
    assert_eq!(app.rest().await, b"begun", "the app's connection ends with the answer");
}

#[tokio::test]
async fn an_answer_before_the_end_of_an_upload_arrives_over_http_2() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.h2_streams("acme").await;
    let (response, mut stream) = client.begin("POST", "/", true).await;
    push(&mut stream, Bytes::from("begun"), false).await.unwrap();
    let _app = answered_early(&origin).await;
    let mut response = head_of(response).await;
    assert_eq!(response.status(), 403);
    assert_eq!(piece_of(response.body_mut()).await.unwrap().unwrap(), "enough!");
    assert!(piece_of(response.body_mut()).await.is_none());
    // The client hears that the rest is not wanted, and that this is no error (RFC 9113, section 8.1).
    let reason = crate::support::within("a reset", std::future::poll_fn(|cx| stream.poll_reset(cx))).await.unwrap();
    assert_eq!(reason, h2::Reason::NO_ERROR);
}
