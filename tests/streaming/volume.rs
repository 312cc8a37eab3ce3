//! 1 GiB each way over TLS: the content is right, all of it is counted, and memory stays flat.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use reqwest::ClientBuilder;
use serde_json::json;

use crate::support::connect::{head_of, push, whole_of};
use crate::support::pattern::{Check, PIECE, piece};
use crate::support::{RawUpstream, TestGateway, Upstream, tenant};

const GIB: u64 = 1 << 30;
/// What the gateway's process may grow by, in kilobytes.
const FLAT_KB: u64 = 32 * 1024;

fn content() -> impl Iterator<Item = Bytes> {
    (0..GIB / PIECE as u64).map(|number| piece(number * PIECE as u64, PIECE as u64))
}

async fn gateway(url: &str) -> TestGateway {
    TestGateway::to_url(url).set("limits.max_body", "2GiB").tenant(tenant("acme")).start().await
}

/// Kilobytes by which the process has grown since `idle`, at its largest.
fn growth_kb(gateway: &TestGateway, idle: u64) -> u64 {
    gateway.memory_kb("VmHWM").saturating_sub(idle)
}

async fn download(gateway: &TestGateway, set: impl FnOnce(ClientBuilder) -> ClientBuilder) {
    let idle = gateway.memory_kb("VmRSS");
    let client = gateway.client_with(set);
    let mut answer = client.get(gateway.url("acme", "/big")).send().await.unwrap();
    let mut check = Check::default();
    while let Some(octets) = answer.chunk().await.unwrap() {
        check.take(&octets);
    }
    assert_eq!(check.octets, GIB);
    let grown = growth_kb(gateway, idle);
    assert!(grown < FLAT_KB, "it grew by {grown} kB");
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["apiCalls"], &usage["bandwidth"]), (&json!(1), &json!(GIB)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gib_comes_down_over_http_1_1_in_flat_memory() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin.url()).await;
    let app = tokio::spawn(async move {
        let (mut wire, _) = origin.head().await;
        wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {GIB}\r\n\r\n")).await;
        for octets in content() {
            wire.send(octets).await;
        }
        wire
    });
    download(&gateway, ClientBuilder::http1_only).await;
    app.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gib_in_chunks_comes_down_over_http_2_in_flat_memory() {
    let origin = Upstream::with(|_| async {
        let frames = futures_util::stream::iter(content().map(|octets| Ok(Frame::data(octets))));
        http::Response::new(BodyExt::boxed(StreamBody::new(frames)))
    });
    let origin = origin.start().await;
    let gateway = gateway(&origin.url()).await;
    download(&gateway, |builder| builder.http2_prior_knowledge().http2_initial_stream_window_size(1 << 20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gib_goes_up_over_http_1_1_in_flat_memory() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin.url()).await;
    let app = tokio::spawn(async move {
        let (mut wire, head) = origin.head().await;
        assert_eq!(head.field("content-length"), Some(GIB.to_string().as_str()));
        let mut check = Check::default();
        while check.octets < GIB {
            check.take(&wire.some().await);
        }
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nall.").await;
        wire
    });
    let mut wire = gateway.raw("acme").await;
    let idle = gateway.memory_kb("VmRSS");
    wire.send(format!("PUT /big HTTP/1.1\r\nhost: acme.example.localhost\r\ncontent-length: {GIB}\r\n\r\n")).await;
    for octets in content() {
        wire.send(octets).await;
    }
    assert_eq!(wire.message().await.body, b"all.");
    app.await.unwrap();
    uploaded(&gateway, idle).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gib_goes_up_over_http_2_in_flat_memory() {
    let seen = Arc::new(std::sync::Mutex::new(Check::default()));
    let kept = Arc::clone(&seen);
    let origin = Upstream::with(move |request| {
        let kept = Arc::clone(&kept);
        async move {
            let mut body = request.into_body();
            while let Some(frame) = body.frame().await {
                kept.lock().unwrap().take(frame.unwrap().data_ref().unwrap());
            }
            http::Response::new(crate::support::upstream::full("all."))
        }
    });
    let origin = origin.start().await;
    let gateway = gateway(&origin.url()).await;
    let mut h2 = gateway.h2_streams("acme").await;
    let idle = gateway.memory_kb("VmRSS");
    let (response, mut stream) = h2.begin("PUT", "/big", true).await;
    for octets in content() {
        push(&mut stream, octets, false).await.unwrap();
    }
    stream.send_data(Bytes::new(), true).unwrap();
    let mut response = head_of(response).await;
    assert_eq!(whole_of(response.body_mut()).await.unwrap(), b"all.");
    assert_eq!(seen.lock().unwrap().octets, GIB);
    assert_eq!(origin.seen()[0].headers["transfer-encoding"], "chunked");
    uploaded(&gateway, idle).await;
}

async fn uploaded(gateway: &TestGateway, idle: u64) {
    let grown = growth_kb(gateway, idle);
    assert!(grown < FLAT_KB, "it grew by {grown} kB");
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["apiCalls"], &usage["ingress"], &usage["bandwidth"]), (&json!(1), &json!(GIB), &json!(4)));
}
