//! 10 GiB each way, exact and in flat memory. `bench/volume/run` does the same over TLS and HTTP/2, which takes longer.

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::paced::{App, PACES, head, read, write};
use crate::support::{TestGateway, tenant};

const LENGTH: u64 = 10 << 30;
/// What the gateway's process may grow by, in kilobytes.
const FLAT_KB: u64 = 8 * 1024;

async fn begin(app: &App, method: &str, length: &str) -> (TestGateway, TcpStream, u64) {
    let builder = TestGateway::to_url(&app.url).plaintext().set("limits.max_body", "11GiB").tenant(tenant("acme"));
    let gateway = builder.start().await;
    let idle = gateway.memory_kb("VmRSS");
    let mut client = gateway.tcp().await;
    let request = format!("{method} /{LENGTH}/0 HTTP/1.1\r\nhost: acme.example.localhost\r\n{length}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    (gateway, client, idle)
}

async fn is_flat_and_counted(gateway: &TestGateway, idle: u64, up: u64, down: u64) {
    let grown = gateway.memory_kb("VmHWM").saturating_sub(idle);
    assert!(grown < FLAT_KB, "it grew by {grown} kB");
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["ingress"], &usage["bandwidth"]), (&json!(up), &json!(down)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_gib_come_down_in_flat_memory() {
    let app = App::start().await;
    let (gateway, mut client, idle) = begin(&app, "GET", "").await;
    assert!(head(&mut client).await.unwrap().contains("200 OK"));
    read(&mut client, LENGTH, PACES[0]).await;
    is_flat_and_counted(&gateway, idle, 0, LENGTH).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_gib_go_up_in_flat_memory() {
    let app = App::start().await;
    let (gateway, mut client, idle) = begin(&app, "PUT", &format!("content-length: {LENGTH}\r\n")).await;
    write(&mut client, LENGTH, PACES[0]).await;
    assert!(head(&mut client).await.unwrap().contains("200 OK"));
    is_flat_and_counted(&gateway, idle, LENGTH, 0).await;
}
