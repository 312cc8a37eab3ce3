//! HTTP/2 in clear, with prior knowledge (RFC 9113, section 3.3), where the gateway proxies in clear.

use std::time::Duration;

use h2::client::handshake;

use crate::support::upstream::RunningUpstream;
use crate::support::{Raw, TestGateway, Upstream, tenant, within};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async fn gateway() -> (TestGateway, RunningUpstream) {
    let origin = Upstream::echoing().start().await;
    (TestGateway::to(&origin).tenant(tenant("acme")).plaintext().start().await, origin)
}

#[tokio::test]
async fn curl_is_served_in_either_version_on_one_port() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).plaintext().start().await;
    for (option, version) in [("--http2-prior-knowledge", "2"), ("--http1.1", "1.1"), ("--http2", "1.1")] {
        let output = gateway.curl(&[option, "-w", " %{http_version} %{response_code}", "http://acme.example.localhost/"]).await;
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("hello {version} 200"), "{option}");
    }
    let record = gateway.access_record(|record| record["protocol"] == "HTTP/2.0").await;
    assert_eq!(record["slug"], "acme");
    assert_eq!(gateway.usage("acme").await["apiCalls"], 3);
}

#[tokio::test]
async fn a_preface_that_comes_in_pieces_is_known() {
    let (gateway, _origin) = gateway().await;
    let mut stream = gateway.tcp().await;
    let (first, rest) = PREFACE.split_at(3);
    // SETTINGS, empty.
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    tokio::io::AsyncWriteExt::write_all(&mut stream, first).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut client = Raw::over(stream);
    client.send([rest, &settings].concat()).await;
    // The server's SETTINGS: length, then the type of the frame.
    assert_eq!(client.take(9).await[3], 4);
}

#[tokio::test]
async fn a_request_that_begins_like_the_preface_is_one_of_http_1_1() {
    let (gateway, _origin) = gateway().await;
    let mut client = Raw::over(gateway.tcp().await);
    client.send("P").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.send("RI / HTTP/1.1\r\nhost: acme.example.localhost\r\n\r\n").await;
    assert_eq!(client.message().await.head.status(), 200);
}

#[tokio::test]
async fn streams_run_side_by_side() {
    let (gateway, _origin) = gateway().await;
    let (mut send, connection) = handshake(gateway.tcp().await).await.unwrap();
    let connection = tokio::spawn(connection);
    let ask = |path: &str| http::Request::get(format!("http://acme.example.localhost{path}")).body(()).unwrap();
    let mut answers = Vec::new();
    for number in 0..20 {
        std::future::poll_fn(|cx| send.poll_ready(cx)).await.unwrap();
        answers.push(send.send_request(ask(&format!("/{number}")), true).unwrap().0);
    }
    for answer in answers {
        assert_eq!(within("an answer", answer).await.unwrap().status(), 200);
    }
    drop(send);
    within("the connection ends", connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn it_is_not_taken_where_the_port_only_points_to_https() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let mut client = Raw::over(tokio::net::TcpStream::connect(gateway.http).await.unwrap());
    client.send(PREFACE).await;
    assert_eq!(client.message().await.head.status(), 400);
}
