//! WebSockets pass through: with a client and a server that nobody here wrote, and octet by octet for what is counted.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Raw, RawUpstream, TestGateway, eventually, peers, tenant, within};

const ASK: &str =
    "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn ask(host: &str) -> String {
    format!("GET /live HTTP/1.1\r\nhost: {host}.example.localhost\r\n{ASK}")
}

/// A process that ends with its test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/websocket").join(name)
}

#[tokio::test]
async fn a_library_s_client_and_server_do_not_notice_the_gateway_between_them() {
    let python = tokio::task::spawn_blocking(|| peers::python(&["websockets==15.0.1"])).await.unwrap();
    let mut server = Server(Command::new(&python).arg(script("server.py")).stdout(Stdio::piped()).spawn().unwrap());
    let mut port = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let gateway = TestGateway::to_url(&format!("http://127.0.0.1:{}", port.trim())).tenant(tenant("acme")).start().await;

    let mut client = tokio::process::Command::new(&python);
    client.arg(script("client.py")).arg("wss://acme.example.localhost").arg(gateway.https.unwrap().port().to_string()).arg(gateway.ca());
    let output = within("the client ends", client.output()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (name, extensions) in [("deflated", json!(["permessage-deflate"])), ("plain", json!([]))] {
        let part = &seen[name];
        assert_eq!(part["echoed"], json!([true, true, true, true, true, true, true, true]), "{name}");
        assert_eq!((&part["protocol"], &part["extensions"]), (&json!("chat.v2"), &extensions), "{name}");
        assert_eq!(part["closed"], json!([4001, "as you like"]), "{name}");
    }
    assert_eq!(seen["clientCloses"], json!([4002, "enough"]));
    assert_eq!(seen["refused"], json!([403, "not here\n"]));
    let usage = gateway.usage("acme").await;
    assert_eq!(usage["apiCalls"], 4);
    // Both ways of 11 MB of which nothing was deflated.
    assert!(usage["bandwidth"].as_u64().unwrap() > 22_000_000, "{usage}");
}

/// A tunnel that stands: the client's end and the app's.
async fn tunnel(gateway: &TestGateway, origin: &RawUpstream) -> (Raw, Raw) {
    let mut client = gateway.raw("acme").await;
    client.send(ask("acme")).await;
    let (mut app, head) = origin.head().await;
    assert_eq!(head.first, "GET /live HTTP/1.1");
    assert_eq!((head.field("upgrade"), head.field("sec-websocket-key")), (Some("websocket"), Some("dGhlIHNhbXBsZSBub25jZQ==")));
    app.send(SWITCH).await;
    let head = client.head().await;
    assert_eq!((head.status(), head.field("upgrade")), (101, Some("websocket")));
    assert_eq!(head.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(head.field("x-request-id").is_some());
    (client, app)
}

#[tokio::test]
async fn octets_after_the_101_count_as_bandwidth_both_ways_while_they_flow() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).tenant(tenant("acme").concurrency(1)).start().await;
    let (mut client, mut app) = tunnel(&gateway, &origin).await;
    assert_eq!(gateway.usage("acme").await["apiCalls"], 1);
    client.send([0, 13, 10, 13, 10, 255]).await;
    assert_eq!(app.take(6).await, [0, 13, 10, 13, 10, 255]);
    app.send(vec![7; 100_000]).await;
    assert_eq!(client.take(100_000).await, vec![7; 100_000]);
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["bandwidth"], &usage["ingress"], &usage["apiCalls"]), (&json!(100_006), &json!(6), &json!(1)));
    gateway.get("acme", "/").await.expect(429).code("too_many_concurrent_requests");
    drop(client);
    assert_eq!(app.rest().await, b"");
    drop(app);
    let record = gateway.access_record(|record| record["status"] == 101).await;
    assert_eq!((&record["bytesIn"], &record["bytesOut"]), (&json!(6), &json!(100_000)));
    let (_client, _app) = tunnel(&gateway, &origin).await;
}

#[tokio::test]
async fn octets_that_come_with_the_heads_are_not_lost() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).tenant(tenant("acme")).start().await;
    let mut client = gateway.raw("acme").await;
    client.send(format!("{}early up", ask("acme"))).await;
    let (mut app, _) = origin.head().await;
    app.send(format!("{SWITCH}early down")).await;
    assert_eq!(client.head().await.status(), 101);
    assert_eq!((client.take(10).await.as_slice(), app.take(8).await.as_slice()), (&b"early down"[..], &b"early up"[..]));
}

#[tokio::test]
async fn one_side_that_has_said_all_may_still_be_told() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).tenant(tenant("acme")).start().await;
    let (mut client, mut app) = tunnel(&gateway, &origin).await;
    app.send("last words").await;
    app.finish().await;
    assert_eq!(client.rest().await, b"last words");
    client.send("noted").await;
    client.finish().await;
    assert_eq!(app.rest().await, b"noted");
}

#[tokio::test]
async fn an_answer_that_is_no_101_arrives_whole_and_ends_the_connection() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).tenant(tenant("acme")).start().await;
    let mut client = gateway.raw("acme").await;
    client.send(ask("acme")).await;
    let (mut app, _) = origin.head().await;
    app.send("HTTP/1.1 426 Upgrade Required\r\nsec-websocket-version: 8\r\ncontent-length: 4\r\n\r\nolder").await;
    let answer = client.message().await;
    assert_eq!((answer.head.status(), answer.body.as_slice()), (426, &b"olde"[..]));
    assert_eq!((answer.head.field("sec-websocket-version"), answer.head.field("connection")), (Some("8"), Some("close")));
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_suspended_tenant_s_tunnels_end_and_no_other() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    let (mut client, mut app) = tunnel(&gateway, &origin).await;
    let mut neighbour = gateway.raw("globex").await;
    neighbour.send(ask("globex")).await;
    let (mut other, _) = origin.head().await;
    other.send(SWITCH).await;
    assert_eq!(neighbour.head().await.status(), 101);

    let begun = Instant::now();
    gateway.admin(Method::POST, "/admin/tenants/acme/suspend", json!({"reason": "test"})).await.expect(200);
    assert_eq!((client.rest().await, app.rest().await), (Vec::new(), Vec::new()));
    assert!(begun.elapsed() < Duration::from_secs(4), "it took {:?}", begun.elapsed());
    let record = gateway.access_record(|record| record["status"] == 101 && record["slug"] == "acme").await;
    assert_eq!(record["aborted"], true);
    neighbour.send("still here").await;
    assert_eq!(other.take(10).await, b"still here");
}

#[tokio::test]
async fn an_upgrade_that_is_refused_is_answered_and_closed() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).tenant(tenant("acme").per_second(1)).start().await;
    let mut client = gateway.raw("api").await;
    // What follows at once is neither taken for a request nor passed on.
    client.send(format!("{}GET / HTTP/1.1\r\n\r\n", ask("api"))).await;
    let answer = client.message().await;
    answer.refused(401, "unauthenticated", "http_request_denied");
    assert_eq!(answer.head.field("connection"), Some("close"));
    assert_eq!(client.rest().await, b"");

    let (_client, _app) = tunnel(&gateway, &origin).await;
    let refused = eventually("the rate is used up", || async {
        let mut client = gateway.raw("acme").await;
        client.send(ask("acme").replace("upgrade: websocket", "upgrade: websocket\r\nx-second: 1")).await;
        tokio::select! {
            answer = client.message() => Some((client, answer)),
            _ = origin.accept() => None,
        }
    });
    let (mut client, answer) = refused.await;
    answer.refused(429, "rate_limited", "http_request_denied");
    assert_eq!(answer.head.field("connection"), Some("close"));
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn an_app_that_switches_to_nothing_it_was_asked_for_is_a_bad_gateway() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).tenant(tenant("acme")).start().await;
    let mut client = gateway.raw("acme").await;
    // Another protocol than WebSocket is no upgrade here: the field is taken off as hop-by-hop.
    client.send("GET / HTTP/1.1\r\nhost: acme.example.localhost\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n").await;
    let (mut app, head) = origin.head().await;
    assert_eq!(head.field("upgrade"), None);
    app.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n").await;
    client.message().await.refused(502, "upstream_unreachable", "http_protocol_error");
    assert_eq!(gateway.usage("acme").await["apiCalls"], 0);
}

#[tokio::test]
async fn a_silent_tunnel_ends_and_one_in_use_does_not() {
    let origin = RawUpstream::listen().await;
    let builder = TestGateway::to_url(&origin.url()).set("limits.tunnel_idle_timeout", "2s");
    let gateway = builder.tenant(tenant("acme")).start().await;
    let (mut client, mut app) = tunnel(&gateway, &origin).await;
    let (mut chatty, mut other) = tunnel(&gateway, &origin).await;
    let silent = tokio::spawn(async move { (client.rest().await, app.rest().await) });
    // Said in either direction, until the silent one is over.
    while !silent.is_finished() {
        other.send("ping").await;
        assert_eq!(chatty.take(4).await, b"ping");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(silent.await.unwrap(), (Vec::new(), Vec::new()));
    let record = gateway.access_record(|record| record["status"] == 101).await;
    assert_eq!((&record["code"], &record["aborted"]), (&json!("tunnel_idle"), &json!(true)));
    chatty.send("still here").await;
    assert_eq!(other.take(10).await, b"still here");
}

#[tokio::test]
async fn a_tunnel_that_has_carried_too_much_ends() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).set("limits.max_tunnel", "1MiB").tenant(tenant("acme")).start().await;
    let (mut client, mut app) = tunnel(&gateway, &origin).await;
    client.send(vec![1; 500_000]).await;
    assert_eq!(app.take(500_000).await.len(), 500_000);
    app.send(vec![2; 600_000]).await;
    // Not one octet more is handed on.
    assert!(client.rest().await.len() <= (1 << 20) - 500_000);
    assert_eq!(app.rest().await, b"");
    let record = gateway.access_record(|record| record["status"] == 101).await;
    assert_eq!((&record["code"], &record["bytesIn"]), (&json!("tunnel_too_large"), &json!(500_000)));
}
