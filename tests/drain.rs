//! The end of a gateway: nobody new gets in, who is in gets all of their answer within the limit, and usage is kept.

use std::process::Stdio;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::connect::{head_of, piece_of};
use crate::support::{Raw, RawUpstream, TestGateway, eventually, tenant, within};

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: acme.example.localhost\r\n\r\n";

async fn gateway(origin: &RawUpstream, limit: &str) -> TestGateway {
    TestGateway::to_url(&origin.url()).set("listen.drain_timeout", limit).tenant(tenant("acme")).start().await
}

/// A connection that has served a request and is idle now.
async fn idle(gateway: &TestGateway, origin: &RawUpstream) -> (Raw, Raw) {
    let mut client = gateway.raw("acme").await;
    client.send(REQUEST).await;
    let (mut app, _) = origin.head().await;
    app.send("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
    assert_eq!(client.head().await.status(), 204);
    (client, app)
}

async fn readiness(gateway: &TestGateway) -> u16 {
    gateway.admin(Method::GET, "/readyz", Value::Null).await.status
}

async fn refuses_connections(gateway: &TestGateway) {
    for address in [gateway.http, gateway.https.unwrap()] {
        eventually("new connections are refused", || async { tokio::net::TcpStream::connect(address).await.err() }).await;
    }
}

#[tokio::test]
async fn a_request_in_flight_is_finished_while_nobody_new_gets_in_and_its_usage_is_kept() {
    let origin = RawUpstream::listen().await;
    let mut gateway = gateway(&origin, "30s").await;
    let (mut idle, _app) = idle(&gateway, &origin).await;
    let mut busy = gateway.raw("acme").await;
    busy.send(REQUEST).await;
    let (mut app, _) = origin.head().await;
    assert_eq!(readiness(&gateway).await, 200);

    gateway.signal("TERM");
    eventually("readiness fails", || async { (readiness(&gateway).await == 503).then_some(()) }).await;
    assert_eq!(gateway.admin(Method::GET, "/livez", Value::Null).await.status, 200);
    refuses_connections(&gateway).await;
    assert_eq!(idle.rest().await, b"", "idle connections are closed");

    app.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst").await;
    let head = busy.head().await;
    assert_eq!((head.status(), head.field("connection")), (200, Some("close")));
    assert_eq!(busy.take(5).await, b"first");
    app.send("later").await;
    assert_eq!(busy.rest().await, b"later");
    assert_eq!(gateway.ended().await.code(), Some(0));

    gateway.start_again().await;
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["apiCalls"], &usage["bandwidth"]), (&json!(2), &json!(10)));
}

#[tokio::test]
async fn http_2_clients_are_told_to_go_away_and_keep_their_streams() {
    let origin = RawUpstream::listen().await;
    let mut gateway = gateway(&origin, "30s").await;
    let mut busy = gateway.h2_streams("acme").await;
    let (response, _) = busy.begin("GET", "/", false).await;
    let (mut app, _) = origin.head().await;
    let mut idle = Raw::over(gateway.raw_tls("acme", "h2").await);
    idle.begin_http2().await;
    let (mut other, _) = origin.head().await;
    other.send("HTTP/1.1 204 No Content\r\n\r\n").await;

    gateway.signal("TERM");
    assert_eq!(idle.goaway().await, (1, 0), "an idle connection is told without blame, after its answer");
    assert_eq!(idle.goaway().await, (0, 0), "once more, with the last stream that is served");
    assert_eq!(idle.rest().await, b"");
    let busy = tokio::sync::Mutex::new(busy);
    eventually("GOAWAY", || async { busy.lock().await.is_told_to_go_away().await.then_some(()) }).await;

    app.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole").await;
    let mut response = head_of(response).await;
    assert_eq!(piece_of(response.body_mut()).await.unwrap().unwrap(), "whole");
    assert!(piece_of(response.body_mut()).await.is_none());
    assert_eq!(gateway.ended().await.code(), Some(0));
    let _ = within("the connection ends", busy.into_inner().connection).await.unwrap();
}

#[tokio::test]
async fn what_takes_longer_than_the_limit_is_cut_and_the_process_ends_well() {
    let origin = RawUpstream::listen().await;
    let mut gateway = gateway(&origin, "1s").await;
    let mut client = gateway.raw("acme").await;
    client.send(REQUEST).await;
    let (mut app, _) = origin.head().await;
    app.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nbegun").await;
    assert_eq!(client.head().await.status(), 200);
    let mut waiting = gateway.h2_streams("acme").await;
    let (response, _) = waiting.begin("GET", "/", false).await;
    let (mut still, _) = origin.head().await;

    let begun = Instant::now();
    assert_eq!(gateway.stop().await.code(), Some(0));
    assert!(begun.elapsed() >= Duration::from_secs(1) && begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(client.rest().await, b"begun");
    within("the stream ends", response).await.unwrap_err();
    assert_eq!((app.rest().await, still.rest().await), (Vec::new(), Vec::new()));

    gateway.start_again().await;
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["apiCalls"], &usage["bandwidth"]), (&json!(2), &json!(5)));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let origin = RawUpstream::listen().await;
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM")] {
        let mut gateway = gateway(&origin, "1h").await;
        let mut client = gateway.raw("acme").await;
        client.send(REQUEST).await;
        let (mut app, _) = origin.head().await;
        gateway.signal(first);
        refuses_connections(&gateway).await;
        gateway.signal(second);
        assert_eq!(gateway.ended().await.code(), Some(0));
        assert_eq!((client.rest().await, app.rest().await), (Vec::new(), Vec::new()));
        gateway.start_again().await;
        assert_eq!(gateway.usage("acme").await["apiCalls"], 1, "its head was sent");
    }
}

#[tokio::test]
async fn a_gateway_without_work_ends_at_once() {
    let origin = RawUpstream::listen().await;
    let mut gateway = gateway(&origin, "1h").await;
    let (mut client, _app) = idle(&gateway, &origin).await;
    let mut silent = Raw::over(gateway.tcp().await);
    let begun = Instant::now();
    assert_eq!(gateway.stop().await.code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!((client.rest().await, silent.rest().await), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn a_gateway_whose_log_nobody_reads_any_more_goes_on_serving() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_gatehouse"));
    command.args(["run", "--set", "tls.mode=off", "--set", "log.access=off", "--set", "log.format=json"]);
    for listener in ["http", "admin"] {
        command.args(["--set", &format!("listen.{listener}=127.0.0.1:0")]);
    }
    let mut child = command
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready: Value = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if line.contains("gatehouse is ready") {
            break serde_json::from_str(&line).unwrap();
        }
    };
    drop(lines);
    let (http, admin) = (ready["http"].as_str().unwrap(), ready["admin"].as_str().unwrap());
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let tenant = r#"{"name": "Acme", "slug": "acme", "plan": "free"}"#;
    let made = client.post(format!("http://{admin}/admin/tenants")).header("content-type", "application/json").body(tenant).send().await;
    assert_eq!(made.unwrap().status(), 201);
    // There is no app, which is worth a line each time.
    for _ in 0..3 {
        let answer = client.get(format!("http://{http}/")).header("host", "acme.example.localhost").send().await.unwrap();
        assert_eq!(answer.status(), 502);
    }
}
