//! WebSockets to an app over HTTP/2 (RFC 8441), for clients of both versions.

use std::time::Duration;

use bytes::Bytes;
use gatehouse::upstream::{H2Duplex, websocket_accept};
use h2::ext::Protocol;
use h2::server::Builder;
use http::{Method, Response};
use tokio::io::AsyncWriteExt;

use super::app::{App, SCHEMES, say};
use crate::support::connect::{head_of, piece_of, push};
use crate::support::within;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Says everything back that a WebSocket carries.
async fn echoing(scheme: &'static str) -> App {
    let mut builder = Builder::new();
    builder.enable_connect_protocol();
    App::answering(scheme, builder, |_, request, mut respond| async move {
        let (parts, body) = request.into_parts();
        if parts.method != Method::CONNECT {
            return say(respond, "not a WebSocket");
        }
        assert_eq!(parts.extensions.get::<Protocol>().map(Protocol::as_str), Some("websocket"));
        assert_eq!((parts.uri.path(), &parts.headers["sec-websocket-version"]), ("/live", &"13".parse::<http::HeaderValue>().unwrap()));
        assert!(!parts.headers.contains_key("sec-websocket-key") && parts.headers.contains_key("x-tenant-id"));
        let head = Response::builder().header("sec-websocket-protocol", "chat.v2").body(()).unwrap();
        let out = respond.send_response(head, false).unwrap();
        let (mut reads, mut writes) = tokio::io::split(H2Duplex::new(out, body));
        if tokio::io::copy(&mut reads, &mut writes).await.is_ok() {
            writes.shutdown().await.unwrap();
        }
    })
    .await
}

fn upgrade() -> String {
    format!(
        "GET /live HTTP/1.1\r\nhost: acme.example.localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\nsec-websocket-protocol: chat.v2\r\n\r\n"
    )
}

#[tokio::test]
async fn a_client_of_http_1_1_has_its_websocket() {
    for scheme in SCHEMES {
        let app = echoing(scheme).await;
        let gateway = app.gateway().start().await;
        let mut client = gateway.raw("acme").await;
        client.send(upgrade()).await;
        let head = client.head().await;
        assert_eq!(head.status(), 101);
        assert_eq!(head.field("sec-websocket-accept"), Some(websocket_accept(KEY.as_bytes()).as_str()));
        assert_eq!((head.field("upgrade"), head.field("sec-websocket-protocol")), (Some("websocket"), Some("chat.v2")));
        for text in ["one", "two"] {
            client.send(text).await;
            assert_eq!(client.take(3).await, text.as_bytes());
        }
        // The app's last word comes back as the end of the connection.
        client.finish().await;
        assert_eq!(client.rest().await, b"");
        assert_eq!(gateway.get("acme", "/").await.expect(200).text(), "not a WebSocket");
        let record = gateway.access_record(|record| record["status"] == 101).await;
        assert_eq!((&record["bytesIn"], &record["bytesOut"]), (&6.into(), &6.into()), "{record}");
        assert_eq!(app.connections(), 1);
    }
}

#[tokio::test]
async fn a_client_of_http_2_has_its_websocket() {
    let app = echoing("h2c").await;
    let gateway = app.gateway().start().await;
    let mut client = gateway.h2_streams("acme").await;
    client.takes_extended_connect().await;
    let more = |request: http::request::Builder| {
        let request = request.extension(Protocol::from_static("websocket"));
        request.header("sec-websocket-version", "13").header("sec-websocket-protocol", "chat.v2")
    };
    let (response, mut up) = client.begin_with("CONNECT", "/live", true, more).await.unwrap();
    let answer = head_of(response).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["sec-websocket-protocol"]),
        (200, &"chat.v2".parse::<http::HeaderValue>().unwrap())
    );
    let mut down = answer.into_body();
    push(&mut up, Bytes::from_static(b"hello"), false).await.unwrap();
    assert_eq!(piece_of(&mut down).await.unwrap().unwrap(), "hello");
    up.send_data(Bytes::new(), true).unwrap();
    assert!(within("the end", down.data()).await.is_none_or(|piece| piece.unwrap().is_empty()));
}

#[tokio::test]
async fn where_the_app_takes_no_websockets_the_client_has_a_502_and_the_log_the_reason() {
    let app = App::answering("h2c", Builder::new(), |_, _, respond| async move { say(respond, "ok") }).await;
    let gateway = app.gateway().start().await;
    let mut client = gateway.raw("acme").await;
    client.send(upgrade()).await;
    assert_eq!(client.head().await.status(), 502);
    crate::support::eventually("a line in the log", || async {
        gateway.log().iter().any(|line| line.contains("does not take WebSockets over HTTP/2")).then_some(())
    })
    .await;
    assert_eq!(gateway.get("acme", "/").await.expect(200).text(), "ok");
    // A client that leaves at once leaves nothing behind.
    let app = echoing("h2c").await;
    let gateway = app.gateway().start().await;
    let mut client = gateway.raw("acme").await;
    client.send(upgrade()).await;
    assert_eq!(client.head().await.status(), 101);
    drop(client);
    let record = gateway.access_record(|record| record["status"] == 101).await;
    assert!(record["durationMs"].as_f64().is_none_or(|took| took < Duration::from_secs(10).as_millis() as f64), "{record}");
}
