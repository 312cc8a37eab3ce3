//! Whatever pace each side goes at, every octet arrives in its place, and the gateway keeps next to nothing of what one side has
//! sent and the other has not taken.

use std::sync::Arc;

use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::paced::{App, PACES, head, pull_all, push_all, read, write};
use crate::support::connect::head_of;
use crate::support::{TestGateway, tenant};

const MIB: u64 = 1 << 20;
const HOST: &str = "host: acme.example.localhost";
/// Many transfers at once, each of so many octets.
const TRANSFERS: usize = 50;
const EACH: u64 = 20 * MIB;
/// What the gateway's process may grow by at most, in kilobytes, while all of them are under way.
const GROWTH_KB: u64 = 48 * 1024;

async fn gateway(app: &App) -> Arc<TestGateway> {
    let builder = TestGateway::to_url(&app.url).set("limits.max_body", "1GiB").tenant(tenant("acme"));
    Arc::new(builder.start().await)
}

/// What one client does: its method, its pace and the app's, and its version.
#[derive(Debug, Clone, Copy)]
struct Transfer {
    method: &'static str,
    client: usize,
    app: usize,
    http2: bool,
}

impl Transfer {
    /// Number `number` of many, so that each pace of the client meets each of the app's over each version.
    fn number(number: usize, method: &'static str) -> Self {
        Self { method, client: number % 3, app: number / 3 % 3, http2: number / 9 % 2 == 1 }
    }

    async fn run(self, gateway: &TestGateway, length: u64) {
        let path = format!("/{length}/{}", self.app);
        if self.http2 { self.run_http2(gateway, &path, length).await } else { self.run_http1(gateway, &path, length).await }
    }

    async fn run_http1(self, gateway: &TestGateway, path: &str, length: u64) {
        let pace = PACES[self.client];
        let (mut reads, mut writes) = tokio::io::split(gateway.raw_tls("acme", "http/1.1").await);
        let sent = if self.method == "GET" { String::new() } else { format!("content-length: {length}\r\n") };
        writes.write_all(format!("{} {path} HTTP/1.1\r\n{HOST}\r\n{sent}\r\n", self.method).as_bytes()).await.unwrap();
        writes.flush().await.unwrap();
        let up = async {
            if self.method != "GET" {
                write(&mut writes, length, pace).await;
            }
        };
        let down = async {
            let head = head(&mut reads).await.expect("an answer");
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            if self.method != "PUT" {
                read(&mut reads, length, pace).await;
            }
        };
        tokio::join!(up, down);
    }

    async fn run_http2(self, gateway: &TestGateway, path: &str, length: u64) {
        let pace = PACES[self.client];
        let mut client = gateway.h2_streams("acme").await;
        let has_body = self.method != "GET";
        let with_length = |request: http::request::Builder| if has_body { request.header("content-length", length) } else { request };
        let (response, mut stream) = client.begin_with(self.method, path, has_body, with_length).await.unwrap();
        let up = async {
            if has_body {
                push_all(&mut stream, length, pace).await;
            }
        };
        let down = async {
            let mut response = if self.method == "PUT" { response.await.unwrap() } else { head_of(response).await };
            assert_eq!(response.status(), 200);
            pull_all(response.body_mut(), if self.method == "PUT" { 0 } else { length }, pace).await;
        };
        tokio::join!(up, down);
    }
}

/// Fifty at once, at all combinations of paces.
async fn many_at_once(method: &'static str, app: App) {
    let gateway = gateway(&app).await;
    let idle = gateway.memory_kb("VmRSS");
    let mut transfers = tokio::task::JoinSet::new();
    for number in 0..TRANSFERS {
        let gateway = Arc::clone(&gateway);
        transfers.spawn(async move { Transfer::number(number, method).run(&gateway, EACH).await });
    }
    while let Some(ended) = transfers.join_next().await {
        ended.unwrap();
    }
    let grown = gateway.memory_kb("VmHWM").saturating_sub(idle);
    eprintln!("{method}: it grew by {grown} kB");
    assert!(grown < GROWTH_KB, "it grew by {grown} kB");
    let all = EACH * TRANSFERS as u64;
    let (up, down) = if method == "GET" { (0, all) } else { (all, 0) };
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["apiCalls"], &usage["ingress"], &usage["bandwidth"]), (&json!(TRANSFERS), &json!(up), &json!(down)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_downloads_at_once_at_different_paces_are_exact_in_bounded_memory() {
    many_at_once("GET", App::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_uploads_at_once_at_different_paces_are_exact_in_bounded_memory() {
    many_at_once("PUT", App::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_downloads_at_once_from_an_app_that_speaks_http_2_are_exact_in_bounded_memory() {
    many_at_once("GET", App::start_http2().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_uploads_at_once_to_an_app_that_speaks_http_2_are_exact_in_bounded_memory() {
    many_at_once("PUT", App::start_http2().await).await;
}

/// An upload whose answer is itself, far larger than all buffers on its way: neither direction may wait for the other to end.
async fn echoes(http2: bool, app: App) {
    const LENGTH: u64 = 128 * MIB;
    let gateway = gateway(&app).await;
    let idle = gateway.memory_kb("VmRSS");
    Transfer { method: "POST", client: 0, app: 0, http2 }.run(&gateway, LENGTH).await;
    let grown = gateway.memory_kb("VmHWM").saturating_sub(idle);
    eprintln!("echo: it grew by {grown} kB");
    assert!(grown < GROWTH_KB / 4, "it grew by {grown} kB");
    // And with sides that go at different paces.
    let (one, other) = (Transfer { method: "POST", client: 1, app: 2, http2 }, Transfer { method: "POST", client: 2, app: 1, http2 });
    tokio::join!(one.run(&gateway, EACH / 2), other.run(&gateway, EACH / 2));
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["ingress"], &usage["bandwidth"]), (&json!(LENGTH + EACH), &json!(LENGTH + EACH)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_echo_flows_both_ways_at_once_over_http_1_1() {
    echoes(false, App::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_echo_flows_both_ways_at_once_over_http_2() {
    echoes(true, App::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_echo_of_an_app_that_speaks_http_2_flows_both_ways_at_once() {
    echoes(false, App::start_http2().await).await;
    echoes(true, App::start_http2().await).await;
}
