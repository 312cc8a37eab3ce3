//! Back-pressure: who does not read makes the other side stop writing, and the gateway does not keep what lies between.

use std::time::Duration;

use bytes::Bytes;

use crate::support::connect::{head_of, push, push_some, whole_of};
use crate::support::pattern::{Check, PIECE, piece};
use crate::support::{Raw, RawUpstream, TestGateway, tenant};

const WHOLE: u64 = 256 << 20;
/// What may be under way: the kernel's buffers of two connections and a little of the gateway's.
const BETWEEN: u64 = 64 << 20;
/// What the gateway's process may grow by, in kilobytes.
const FLAT_KB: u64 = 8 * 1024;
/// A write that waits for so long is stuck.
const STUCK: Duration = Duration::from_millis(1500);

/// Writes content from number `sent` on until the peer takes no more, or all of it is written.
async fn until_stuck(wire: &mut Raw, sent: &mut u64) {
    while *sent < WHOLE {
        let octets = piece(*sent, (WHOLE - *sent).min(PIECE as u64));
        match tokio::time::timeout(STUCK, wire.try_some(&octets)).await {
            Ok(count) => *sent += count.unwrap() as u64,
            Err(_) => return,
        }
    }
}

/// Writes the rest of the content.
async fn the_rest(mut wire: Raw, mut sent: u64) -> Raw {
    while sent < WHOLE {
        let octets = piece(sent, (WHOLE - sent).min(PIECE as u64));
        wire.send(&octets).await;
        sent += octets.len() as u64;
    }
    wire
}

/// An app that writes until it is stuck, although the client has asked for it all.
async fn stuck_app(gateway: &TestGateway, origin: &RawUpstream) -> (Raw, u64) {
    let idle = gateway.memory_kb("VmRSS");
    let (mut app, _) = origin.head().await;
    app.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {WHOLE}\r\n\r\n")).await;
    let mut sent = 0;
    until_stuck(&mut app, &mut sent).await;
    assert!(sent < BETWEEN, "{sent} octets went to a client that reads none");
    let grown = gateway.memory_kb("VmRSS").saturating_sub(idle);
    assert!(grown < FLAT_KB, "it grew by {grown} kB");
    (app, sent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_http_1_1_stops_the_app() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).tenant(tenant("acme")).start().await;
    let mut client = gateway.raw("acme").await;
    client.send("GET / HTTP/1.1\r\nhost: acme.example.localhost\r\n\r\n").await;
    let (app, sent) = stuck_app(&gateway, &origin).await;
    let app = tokio::spawn(the_rest(app, sent));
    assert_eq!(client.head().await.status(), 200);
    let mut check = Check::default();
    while check.octets < WHOLE {
        check.take(&client.some().await);
    }
    app.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_an_http_2_stream_stops_the_app_and_no_other_stream() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).tenant(tenant("acme")).start().await;
    let mut client = gateway.h2_streams("acme").await;
    let (response, _) = client.begin("GET", "/", false).await;
    let (app, sent) = stuck_app(&gateway, &origin).await;
    assert!(sent > 65_535, "the client's window is used");
    let neighbour = tokio::spawn(async move {
        let (mut wire, _) = origin.head().await;
        wire.send("HTTP/1.1 204 No Content\r\n\r\n").await;
        wire
    });
    assert_eq!(client.get("/other").await.0.status, 204);
    neighbour.await.unwrap();
    let app = tokio::spawn(the_rest(app, sent));
    let mut response = head_of(response).await;
    let mut check = Check::default();
    check.take(&whole_of(response.body_mut()).await.unwrap());
    assert_eq!(check.octets, WHOLE);
    app.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_stops_reading_stops_an_http_1_1_client() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).set("limits.max_body", "1GiB").tenant(tenant("acme")).start().await;
    let mut client = gateway.raw("acme").await;
    let idle = gateway.memory_kb("VmRSS");
    client.send(format!("PUT / HTTP/1.1\r\nhost: acme.example.localhost\r\ncontent-length: {WHOLE}\r\n\r\n")).await;
    let (app, _) = origin.head().await;
    let mut sent = 0;
    until_stuck(&mut client, &mut sent).await;
    assert!(sent < BETWEEN, "{sent} octets went to an app that reads none");
    let grown = gateway.memory_kb("VmRSS").saturating_sub(idle);
    assert!(grown < FLAT_KB, "it grew by {grown} kB");
    let client = tokio::spawn(the_rest(client, sent));
    take_all(app).await;
    assert_eq!(client.await.unwrap().head().await.status(), 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_stops_reading_stops_an_http_2_client() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).set("limits.max_body", "1GiB").tenant(tenant("acme")).start().await;
    let mut client = gateway.h2_streams("acme").await;
    let idle = gateway.memory_kb("VmRSS");
    let length = |request: http::request::Builder| request.header("content-length", WHOLE);
    let (response, mut stream) = client.begin_with("PUT", "/", true, length).await.unwrap();
    let (app, _) = origin.head().await;
    let mut sent = 0;
    while sent < WHOLE {
        let octets = piece(sent, PIECE as u64);
        match tokio::time::timeout(STUCK, push_some(&mut stream, &octets, false)).await {
            Ok(count) => sent += count.unwrap() as u64,
            Err(_) => break,
        }
    }
    assert!(sent < BETWEEN, "{sent} octets went to an app that reads none");
    let grown = gateway.memory_kb("VmRSS").saturating_sub(idle);
    assert!(grown < FLAT_KB, "it grew by {grown} kB");
    let app = tokio::spawn(take_all(app));
    while sent < WHOLE {
        let octets = piece(sent, (WHOLE - sent).min(PIECE as u64));
        sent += octets.len() as u64;
        push(&mut stream, octets, false).await.unwrap();
    }
    stream.send_data(Bytes::new(), true).unwrap();
    assert_eq!(head_of(response).await.status(), 204);
    app.await.unwrap();
}

async fn take_all(mut app: Raw) -> Raw {
    let mut check = Check::default();
    while check.octets < WHOLE {
        check.take(&app.some().await);
    }
    app.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    app
}
