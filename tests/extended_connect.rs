//! WebSockets over HTTP/2 (RFC 8441): a stream of the client's connection becomes a tunnel to an app that speaks HTTP/1.1.

use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::StatusCode;
use reqwest::Method;
use serde_json::json;

use crate::support::connect::{H2Streams, head_of, piece_of, push, whole_of};
use crate::support::raw::Head;
use crate::support::{Raw, RawUpstream, TestGateway, eventually, tenant, within};

async fn gateway(origin: &RawUpstream) -> TestGateway {
    TestGateway::to_url(&origin.url()).tenant(tenant("acme")).start().await
}

/// Asks for a WebSocket and waits until that may have an answer.
async fn ask(client: &mut H2Streams) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
    client.takes_extended_connect().await;
    let more = |request: http::request::Builder| {
        request
            .extension(Protocol::from_static("websocket"))
            .header("sec-websocket-version", "13")
            .header("sec-websocket-protocol", "chat.v1, chat.v2")
            .header("sec-websocket-extensions", "permessage-deflate; client_max_window_bits")
    };
    client.begin_with("CONNECT", "/live?room=1", true, more).await.expect("a stream")
}

/// The app's yes.
async fn switch(app: &mut Raw, head: &Head) {
    let accept = gatehouse::upstream::websocket_accept(head.field("sec-websocket-key").expect("a key").as_bytes());
    app.send(format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\
         sec-websocket-protocol: chat.v2\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n"
    ))
    .await;
}

/// A tunnel that stands: both directions of the client's stream, and the app's end.
async fn tunnel(client: &mut H2Streams, origin: &RawUpstream) -> (SendStream<Bytes>, RecvStream, Raw) {
    let (response, up) = ask(client).await;
    let (mut app, head) = origin.head().await;
    switch(&mut app, &head).await;
    let answer = head_of(response).await;
    assert_eq!(answer.status(), StatusCode::OK);
    (up, answer.into_body(), app)
}

async fn takes(app: &mut Raw, octets: &[u8]) {
    assert_eq!(app.take(octets.len()).await, octets);
}

#[tokio::test]
async fn the_app_is_asked_as_http_1_1_asks_and_its_yes_is_told_as_http_2_tells() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.h2_streams("acme").await;
    let (response, _up) = ask(&mut client).await;
    let (mut app, head) = origin.head().await;
    assert_eq!(head.first, "GET /live?room=1 HTTP/1.1");
    assert_eq!((head.field("upgrade"), head.field("connection")), (Some("websocket"), Some("Upgrade")));
    assert_eq!((head.field("host"), head.field("sec-websocket-version")), (Some("acme.example.localhost"), Some("13")));
    assert_eq!(head.field("sec-websocket-protocol"), Some("chat.v1, chat.v2"));
    assert_eq!(head.field("sec-websocket-extensions"), Some("permessage-deflate; client_max_window_bits"));
    assert_eq!((head.field("content-length"), head.field("transfer-encoding")), (None, None));
    assert!(head.field("x-tenant-id").is_some());
    switch(&mut app, &head).await;
    let answer = head_of(response).await;
    let field = |name| answer.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!((field("sec-websocket-protocol"), field("sec-websocket-extensions")), (Some("chat.v2"), Some("permessage-deflate")));
    assert_eq!((field("upgrade"), field("connection"), field("sec-websocket-accept")), (None, None, None));
    assert!(field("x-request-id").is_some());
}

#[tokio::test]
async fn octets_flow_both_ways_and_are_counted_beside_other_streams_of_the_connection() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.h2_streams("acme").await;
    let (mut up, mut down, mut app) = tunnel(&mut client, &origin).await;
    let (mut second_up, mut second_down, mut second_app) = tunnel(&mut client, &origin).await;
    push(&mut up, Bytes::from_static(&[0, 13, 10, 255]), false).await.unwrap();
    takes(&mut app, &[0, 13, 10, 255]).await;
    push(&mut second_up, Bytes::from_static(b"second"), false).await.unwrap();
    takes(&mut second_app, b"second").await;
    // More than any window.
    let large = vec![7; 3_000_000];
    let writer = tokio::spawn(async move {
        app.try_send(large).await.unwrap();
        app
    });
    let mut received = 0;
    while received < 3_000_000 {
        received += piece_of(&mut down).await.unwrap().unwrap().len();
    }
    let mut app = writer.await.unwrap();
    second_app.send("beside").await;
    assert_eq!(piece_of(&mut second_down).await.unwrap().unwrap(), "beside");
    // The end of one direction is not that of the other.
    up.send_data(Bytes::new(), true).unwrap();
    assert_eq!(app.rest().await, b"");
    app.send("last words").await;
    app.finish().await;
    assert_eq!(whole_of(&mut down).await.unwrap(), b"last words");
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["apiCalls"], &usage["ingress"], &usage["bandwidth"]), (&json!(2), &json!(10), &json!(3_000_000 + 10 + 16)));
    let record = gateway.access_record(|record| record["bytesIn"] == 4).await;
    assert_eq!((&record["status"], &record["bytesOut"], &record["aborted"]), (&json!(101), &json!(3_000_010), &json!(false)));
}

#[tokio::test]
async fn what_the_client_sends_ahead_reaches_the_app_after_its_101_only() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.h2_streams("acme").await;
    let (response, mut up) = ask(&mut client).await;
    push(&mut up, Bytes::from_static(b"GET /smuggled HTTP/1.1\r\n\r\n"), false).await.unwrap();
    let (mut app, head) = origin.head().await;
    app.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await;
    assert_eq!(head.first, "GET /live?room=1 HTTP/1.1");
    let mut answer = head_of(response).await;
    assert_eq!((answer.status().as_u16(), whole_of(answer.body_mut()).await.unwrap().as_slice()), (403, &b"no"[..]));
    // Another request, on the same connection to the app or on another, is the next that any app sees.
    let (response, _) = client.begin("GET", "/next", false).await;
    let next = within("the next request", async {
        tokio::select! {
            head = app.head() => head,
            (_, head) = origin.head() => head,
        }
    });
    assert_eq!(next.await.first, "GET /next HTTP/1.1");
    drop(response);
}

#[tokio::test]
async fn an_app_that_does_not_switch_is_a_bad_gateway_and_counts_because_it_answered() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.h2_streams("acme").await;
    let wrong = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    for reply in ["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", wrong] {
        let (response, _up) = ask(&mut client).await;
        let (mut app, _) = origin.head().await;
        app.send(reply).await;
        let mut answer = head_of(response).await;
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["proxy-status"].to_str().unwrap()),
            (502, "gatehouse; error=http_upgrade_failed")
        );
        let document: serde_json::Value = serde_json::from_slice(&whole_of(answer.body_mut()).await.unwrap()).unwrap();
        assert_eq!(document["code"], "upstream_unreachable");
        assert_eq!(app.rest().await, b"");
    }
    assert_eq!(gateway.usage("acme").await["apiCalls"], 2);
}

#[tokio::test]
async fn connect_for_anything_else_is_not_served() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.h2_streams("acme").await;
    client.takes_extended_connect().await;
    let more = |request: http::request::Builder| request.extension(Protocol::from_static("connect-udp"));
    let (response, _up) = client.begin_with("CONNECT", "/", true, more).await.unwrap();
    assert_eq!(head_of(response).await.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_client_that_resets_its_stream_ends_the_apps_connection_and_no_other_stream() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.h2_streams("acme").await;
    let (mut up, _down, mut app) = tunnel(&mut client, &origin).await;
    let (mut other_up, _other_down, mut other_app) = tunnel(&mut client, &origin).await;
    up.send_reset(Reason::CANCEL);
    assert_eq!(app.rest().await, b"");
    push(&mut other_up, Bytes::from_static(b"still"), false).await.unwrap();
    takes(&mut other_app, b"still").await;
}

/// Asks until the request is let in.
async fn next_asked(client: &mut H2Streams, origin: &RawUpstream) -> (Raw, Head, SendStream<Bytes>) {
    loop {
        let (response, up) = ask(client).await;
        tokio::select! {
            (app, head) = origin.head() => return (app, head, up),
            answer = head_of(response) => assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS),
        }
    }
}

#[tokio::test]
async fn a_client_that_resets_its_stream_as_the_answer_arrives_leaves_nothing_behind() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).tenant(tenant("acme").concurrency(1)).start().await;
    let mut client = gateway.h2_streams("acme").await;
    for turn in 0..60_u32 {
        let (mut app, head, mut up) = within("the place in flight is free", next_asked(&mut client, &origin)).await;
        // Now the one is first, now the other.
        if turn % 2 == 0 {
            switch(&mut app, &head).await;
            up.send_reset(Reason::CANCEL);
        } else {
            up.send_reset(Reason::CANCEL);
            let _ = app.try_send("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n").await;
        }
        within("the app's connection ends", app.rest()).await;
    }
}

#[tokio::test]
async fn a_tenant_s_suspension_resets_the_stream_within_a_second() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.h2_streams("acme").await;
    let (_up, mut down, mut app) = tunnel(&mut client, &origin).await;
    gateway.admin(Method::POST, "/admin/tenants/acme/suspend", json!({"reason": "test"})).await.expect(200);
    let begun = Instant::now();
    assert_eq!(whole_of(&mut down).await.unwrap_err().reason(), Some(Reason::CANCEL));
    assert!(begun.elapsed() < Duration::from_secs(2), "it took {:?}", begun.elapsed());
    assert_eq!(app.rest().await, b"");
}

#[tokio::test]
async fn a_refused_request_for_one_is_answered_as_any_other() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    gateway.admin(Method::POST, "/admin/tenants/acme/suspend", json!({"reason": "test"})).await.expect(200);
    let mut client = gateway.h2_streams("acme").await;
    let (response, _up) = ask(&mut client).await;
    let mut answer = head_of(response).await;
    let document: serde_json::Value = serde_json::from_slice(&whole_of(answer.body_mut()).await.unwrap()).unwrap();
    assert_eq!((answer.status().as_u16(), &document["code"]), (403, &json!("tenant_suspended")));
    eventually("nothing is open", async || (gateway.usage("acme").await["apiCalls"] == 0).then_some(())).await;
}
