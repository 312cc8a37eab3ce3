//! Many WebSockets at once: each has its own messages, and what is metered is to the octet what the app's side saw.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::{PATIENCE, output, script};
use crate::support::peers::Server;
use crate::support::{TestGateway, tenant};

/// What passed between the gateway and an app, after the heads.
#[derive(Default)]
struct Counted {
    tunnels: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
}

/// Stands before an app, passes octets on, and counts them. The address where it is found.
async fn counting(app: SocketAddr) -> (SocketAddr, Arc<Counted>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, counted) = (listener.local_addr().unwrap(), Arc::new(Counted::default()));
    let kept = Arc::clone(&counted);
    tokio::spawn(async move {
        while let Ok((gateway, _)) = listener.accept().await {
            let (from_gateway, to_gateway) = gateway.into_split();
            let (from_app, to_app) = TcpStream::connect(app).await.unwrap().into_split();
            kept.tunnels.fetch_add(1, SeqCst);
            let (up, down) = (Arc::clone(&kept), Arc::clone(&kept));
            tokio::spawn(pass(from_gateway, to_app, move |octets| up.up.fetch_add(octets, SeqCst)));
            tokio::spawn(pass(from_app, to_gateway, move |octets| down.down.fetch_add(octets, SeqCst)));
        }
    });
    (address, counted)
}

/// Passes octets on to their end; those after the head count.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, count: impl Fn(u64) -> u64) {
    let (mut head, mut buffer) = (Some(Vec::new()), vec![0; 65_536]);
    while let Ok(octets @ 1..) = from.read(&mut buffer).await {
        let after = match &mut head {
            None => octets,
            Some(read) => {
                read.extend_from_slice(&buffer[..octets]);
                let end = read.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
                let after = end.map_or(0, |end| read.len() - end);
                head = head.filter(|_| end.is_none());
                after
            }
        };
        count(after as u64);
        if to.write_all(&buffer[..octets]).await.is_err() {
            return;
        }
    }
}

async fn a_crowd(version: &str, count: u64) {
    let app = Server::start(&mut script("echo_server.py").await).await;
    let (address, counted) = counting(app.address).await;
    let gateway = TestGateway::to_url(&format!("http://{address}")).tenant(tenant("acme")).start().await;
    let mut client = script("crowd_client.py").await;
    client.args(["acme.example.localhost", &gateway.https.unwrap().port().to_string()]).arg(gateway.ca());
    client.args([version, &count.to_string()]);
    assert_eq!(output(client, PATIENCE).await.trim(), (count * 20).to_string(), "each message came back, HTTP/{version}");

    let mut recorded = (0, 0);
    for number in 0..count {
        let record = gateway.access_record(|record| record["path"] == format!("/{number}")).await;
        assert_eq!((&record["status"], &record["aborted"]), (&json!(101), &json!(false)), "{record}");
        recorded.0 += record["bytesIn"].as_u64().unwrap();
        recorded.1 += record["bytesOut"].as_u64().unwrap();
    }
    let (up, down) = (counted.up.load(SeqCst), counted.down.load(SeqCst));
    assert_eq!(recorded, (up, down), "HTTP/{version}");
    assert!(up > count * 20 * 1_000, "{up} octets are no traffic");
    assert_eq!(counted.tunnels.load(SeqCst), count);
    let usage: Value = gateway.usage("acme").await;
    let metered = (&usage["apiCalls"], &usage["ingress"], &usage["bandwidth"]);
    assert_eq!(metered, (&json!(count), &json!(up), &json!(up + down)), "HTTP/{version}");
}

#[tokio::test]
async fn two_hundred_connections_are_metered_to_the_octet() {
    a_crowd("1.1", 200).await;
}

#[tokio::test]
async fn two_hundred_streams_of_one_connection_are_metered_to_the_octet() {
    a_crowd("2", 200).await;
}
