//! A client that ends its own side of a connection in clear after its request still gets the answer, as it does from most apps.

use crate::support::{Raw, RawUpstream, TestGateway, tenant, within};

const HOST: &str = "host: acme.example.localhost\r\n";

async fn gateway(origin: &RawUpstream) -> TestGateway {
    TestGateway::to_url(&origin.url()).tenant(tenant("acme")).plaintext().start().await
}

/// A client that says this and nothing more.
async fn says(gateway: &TestGateway, text: String) -> Raw {
    let mut client = gateway.raw("acme").await;
    client.send(text).await;
    client.finish().await;
    client
}

#[tokio::test]
async fn after_a_request_it_is_answered_piece_by_piece_and_the_connection_ends() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = says(&gateway, format!("GET / HTTP/1.1\r\n{HOST}\r\n")).await;
    let (mut app, _) = origin.head().await;
    app.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
    assert_eq!(client.head().await.status(), 200);
    for word in ["one", "two", "three"] {
        app.send(format!("{:x}\r\n{word}\r\n", word.len())).await;
        assert_eq!(client.chunk().await, word.as_bytes());
    }
    app.send("0\r\n\r\n").await;
    assert_eq!(client.chunk().await, b"");
    assert_eq!(client.rest().await, b"\r\n");
    let record = gateway.access_record(|record| record["status"] == 200).await;
    assert_eq!(record["aborted"], false);
}

#[tokio::test]
async fn after_an_upload_the_app_gets_all_of_it_and_is_heard() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = says(&gateway, format!("PUT / HTTP/1.1\r\n{HOST}content-length: 5\r\n\r\nhello")).await;
    let (mut app, message) = origin.request().await;
    assert_eq!(message.body, b"hello");
    app.send("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(client.message().await.head.status(), 201);
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn after_several_requests_it_gets_an_answer_to_each() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let requests: String = (0..3).map(|number| format!("GET /{number} HTTP/1.1\r\n{HOST}\r\n")).collect();
    let mut client = says(&gateway, requests).await;
    let mut app = origin.accept().await;
    for number in 0..3 {
        assert_eq!(app.head().await.first, format!("GET /{number} HTTP/1.1"));
        app.send(format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}")).await;
        assert_eq!(client.message().await.body, number.to_string().as_bytes());
    }
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn within_an_upload_it_is_gone_and_the_app_never_sees_an_end() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let _client = says(&gateway, format!("PUT / HTTP/1.1\r\n{HOST}content-length: 50\r\n\r\nhello")).await;
    let (mut app, _) = origin.head().await;
    assert_eq!(within("the app's connection closes", app.rest()).await, b"hello");
    let record = gateway.access_record(|record| record["slug"] == "acme").await;
    assert_eq!(record["aborted"], true);
}

#[tokio::test]
async fn before_the_answer_to_its_request_for_a_websocket_it_still_hears_the_app() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let ask =
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut client = says(&gateway, format!("GET / HTTP/1.1\r\n{HOST}{ask}hello")).await;
    let (mut app, _) = origin.head().await;
    app.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nwelcome").await;
    assert_eq!(client.head().await.status(), 101);
    assert_eq!(app.rest().await, b"hello");
    assert_eq!(client.take(7).await, b"welcome");
}
