//! 10 GiB each way, exact and in flat memory. What takes longer than a test should is left to `bench/volume/run`, which runs all
//! of this and shows the figures.

use std::fs;
use std::time::Instant;

use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::paced::{App, PACES, head, pull_all, push_all, read, write};
use crate::support::connect::head_of;
use crate::support::{TestGateway, tenant};

const LENGTH: u64 = 10 << 30;
/// What the gateway's process may grow by, in kilobytes.
const FLAT_KB: u64 = 8 * 1024;

/// What the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Clear,
    Tls,
    Http2,
    /// And so does the app.
    Http2Throughout,
}

/// `GET` brings the content down, `PUT` takes it up.
async fn transfer(over: Over, method: &str) {
    let app = if over == Over::Http2Throughout { App::start_http2().await } else { App::start().await };
    let builder = TestGateway::to_url(&app.url).set("limits.max_body", "11GiB").tenant(tenant("acme"));
    let gateway = if over == Over::Clear { builder.plaintext() } else { builder }.start().await;
    let (idle, before, begun) = (gateway.memory_kb("VmRSS"), cpu_seconds(gateway.pid()), Instant::now());
    match over {
        Over::Clear => http1(gateway.tcp().await, method).await,
        Over::Tls => http1(gateway.raw_tls("acme", "http/1.1").await, method).await,
        Over::Http2 | Over::Http2Throughout => http2(&gateway, method).await,
    }
    let (took, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds(gateway.pid()) - before);
    let grown = gateway.memory_kb("VmHWM").saturating_sub(idle);
    let (up, down) = if method == "GET" { (0, LENGTH) } else { (LENGTH, 0) };
    let speed = LENGTH as f64 / took / f64::from(1 << 20);
    eprintln!("| {over:?} {method} | {took:.1} s | {speed:.0} MiB/s | {cpu:.1} s | {grown} kB |");
    assert!(grown < FLAT_KB, "it grew by {grown} kB");
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["ingress"], &usage["bandwidth"]), (&json!(up), &json!(down)));
}

async fn http1(mut client: impl AsyncRead + AsyncWrite + Unpin, method: &str) {
    let length = if method == "GET" { String::new() } else { format!("content-length: {LENGTH}\r\n") };
    let request = format!("{method} /{LENGTH}/0 HTTP/1.1\r\nhost: acme.example.localhost\r\n{length}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    client.flush().await.unwrap();
    if method == "PUT" {
        write(&mut client, LENGTH, PACES[0]).await;
    }
    let head = head(&mut client).await.expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    if method == "GET" {
        read(&mut client, LENGTH, PACES[0]).await;
    }
}

async fn http2(gateway: &TestGateway, method: &str) {
    let mut client = gateway.h2_streams("acme").await;
    let has_body = method == "PUT";
    let with_length = |request: http::request::Builder| if has_body { request.header("content-length", LENGTH) } else { request };
    let (response, mut stream) = client.begin_with(method, &format!("/{LENGTH}/0"), has_body, with_length).await.unwrap();
    if has_body {
        push_all(&mut stream, LENGTH, PACES[0]).await;
    }
    let mut response = head_of(response).await;
    assert_eq!(response.status(), 200);
    pull_all(response.body_mut(), if has_body { 0 } else { LENGTH }, PACES[0]).await;
}

/// User and system time of a process; the kernel tells both in hundredths of a second (proc(5)).
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_gib_come_down_in_flat_memory() {
    transfer(Over::Clear, "GET").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_gib_go_up_in_flat_memory() {
    transfer(Over::Clear, "PUT").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; run by bench/volume/run"]
async fn ten_gib_come_down_in_flat_memory_over_tls() {
    transfer(Over::Tls, "GET").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; run by bench/volume/run"]
async fn ten_gib_go_up_in_flat_memory_over_tls() {
    transfer(Over::Tls, "PUT").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; run by bench/volume/run"]
async fn ten_gib_come_down_in_flat_memory_over_http_2() {
    transfer(Over::Http2, "GET").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; run by bench/volume/run"]
async fn ten_gib_go_up_in_flat_memory_over_http_2() {
    transfer(Over::Http2, "PUT").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; run by bench/volume/run"]
async fn ten_gib_come_down_in_flat_memory_over_http_2_throughout() {
    transfer(Over::Http2Throughout, "GET").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; run by bench/volume/run"]
async fn ten_gib_go_up_in_flat_memory_over_http_2_throughout() {
    transfer(Over::Http2Throughout, "PUT").await;
}
