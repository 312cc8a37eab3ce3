//! Whatever an upstream does, the client gets an honest answer, keeps its connection where that can be, and is not billed
//! for what it did not get.

use serde_json::{Value, json};

use crate::support::connect::{head_of, whole_of};
use crate::support::raw::{Then, black_hole};
use crate::support::{RawUpstream, TestGateway, eventually, tenant};

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: acme.example.localhost\r\n\r\n";

/// One request may be in flight and two calls may be made a day: what is not given back is soon missed.
async fn gateway(url: &str) -> TestGateway {
    let acme = tenant("acme").concurrency(1).calls_per_day(2);
    let builder = TestGateway::to_url(url).set("upstream.connect_timeout", "500ms").set("upstream.response_timeout", "500ms");
    builder.tenant(acme).start().await
}

/// Makes three requests on one connection of each version, each refused alike, and none of them is counted.
async fn is_refused(gateway: &TestGateway, status: u16, code: &str, proxy_error: &str) {
    let mut client = gateway.raw("acme").await;
    for _ in 0..3 {
        client.send(REQUEST).await;
        client.message().await.refused(status, code, proxy_error);
    }
    let mut client = gateway.h2_streams("acme").await;
    let (head, body) = client.get("/").await;
    let document: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((head.status.as_u16(), &document["code"]), (status, &json!(code)));
    assert_eq!(head.headers["proxy-status"], format!("gatehouse; error={proxy_error}"));
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["apiCalls"], &usage["bandwidth"]), (&json!(0), &json!(0)), "{usage}");
}

/// An upstream that says this to each request gets its client this refusal.
async fn saying(reply: impl Into<Vec<u8>>, then: Then, status: u16, code: &str, proxy_error: &str) {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin.url()).await;
    let _app = origin.saying(reply, then);
    is_refused(&gateway, status, code, proxy_error).await;
}

#[tokio::test]
async fn that_is_down() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = gateway(&format!("http://{address}")).await;
    is_refused(&gateway, 502, "upstream_unreachable", "connection_refused").await;
}

#[tokio::test]
async fn that_does_not_resolve() {
    let gateway = gateway("http://nowhere.invalid:80").await;
    is_refused(&gateway, 502, "upstream_unreachable", "dns_error").await;
}

#[tokio::test]
async fn that_takes_no_connection() {
    let (_held, address) = black_hole().await;
    let gateway = gateway(&format!("http://{address}")).await;
    is_refused(&gateway, 504, "upstream_timeout", "connection_timeout").await;
}

#[tokio::test]
async fn that_closes_without_a_word() {
    saying("", Then::Close, 502, "upstream_unreachable", "connection_terminated").await;
}

#[tokio::test]
async fn that_closes_within_a_head() {
    saying("HTTP/1.1 200 OK\r\ncontent-le", Then::Close, 502, "upstream_unreachable", "connection_terminated").await;
}

#[tokio::test]
async fn that_closes_after_an_interim_head() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin.url()).await;
    let _app = origin.saying("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", Then::Close);
    let mut client = gateway.raw("acme").await;
    client.send(REQUEST).await;
    assert_eq!(client.head().await.status(), 103);
    client.message().await.refused(502, "upstream_unreachable", "connection_terminated");
    let mut client = gateway.h2_streams("acme").await;
    let (head, _) = client.get("/").await;
    assert_eq!(head.status.as_u16(), 502);
}

#[tokio::test]
async fn that_keeps_still() {
    saying("", Then::KeepStill, 504, "upstream_timeout", "http_response_timeout").await;
}

#[tokio::test]
async fn that_does_not_end_its_head() {
    saying("HTTP/1.1 200 OK\r\nx-slow: yes\r\n", Then::KeepStill, 504, "upstream_timeout", "http_response_timeout").await;
}

#[tokio::test]
async fn that_speaks_no_http() {
    saying("SSH-2.0-OpenSSH_9.2\r\n", Then::KeepStill, 502, "upstream_unreachable", "http_protocol_error").await;
}

#[tokio::test]
async fn that_says_two_lengths() {
    let both = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    saying(both, Then::KeepStill, 502, "upstream_unreachable", "http_protocol_error").await;
    let different = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nfour";
    saying(different, Then::KeepStill, 502, "upstream_unreachable", "http_protocol_error").await;
}

#[tokio::test]
async fn that_sends_a_head_without_end() {
    let endless = format!("HTTP/1.1 200 OK\r\nx-long: {}", "a".repeat(1 << 20));
    saying(endless, Then::KeepStill, 502, "upstream_unreachable", "http_protocol_error").await;
}

#[tokio::test]
async fn that_switches_protocols_unasked() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    saying(switch, Then::KeepStill, 502, "upstream_unreachable", "http_protocol_error").await;
}

/// Answers that break off or go wrong within their body, and the octets before that.
const CUT: [(&str, &[u8]); 4] = [
    ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegun", b"begun"),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbegun\r\n", b"begun"),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nbegun", b"begun"),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbegun\r\nno size\r\n", b"begun"),
];

#[tokio::test]
async fn that_cuts_its_body_short_never_looks_whole_over_http_1_1() {
    for (reply, begun) in CUT {
        let origin = RawUpstream::listen().await;
        let gateway = gateway(&origin.url()).await;
        let _app = origin.saying(reply, Then::Close);
        let mut client = gateway.raw("acme").await;
        client.send(REQUEST).await;
        let head = client.head().await;
        assert_eq!(head.status(), 200);
        let rest = client.rest().await;
        match head.field("content-length") {
            Some(length) => assert!(rest.len() < length.parse().unwrap(), "{reply:?}"),
            None => assert!(!rest.ends_with(b"0\r\n\r\n"), "{reply:?}: {:?}", String::from_utf8_lossy(&rest)),
        }
        assert!(rest.windows(begun.len()).any(|part| part == begun), "what came was handed on: {reply:?}");
        is_counted_as_cut(&gateway).await;
    }
}

#[tokio::test]
async fn that_cuts_its_body_short_resets_an_http_2_stream_and_no_other() {
    for (reply, begun) in CUT {
        let origin = RawUpstream::listen().await;
        let gateway = gateway(&origin.url()).await;
        let _app = origin.saying(reply, Then::Close);
        let mut client = gateway.h2_streams("acme").await;
        let (response, _) = client.begin("GET", "/", false).await;
        let mut response = head_of(response).await;
        let error = loop {
            match crate::support::connect::piece_of(response.body_mut()).await {
                Some(Ok(octets)) => assert_eq!(octets, begun),
                Some(Err(error)) => break error,
                None => panic!("{reply:?} looks whole"),
            }
        };
        assert!(error.is_reset(), "{error}");
        is_counted_as_cut(&gateway).await;
        let (response, _) = client.begin("GET", "/", false).await;
        let mut response = head_of(response).await;
        assert_eq!(response.status(), 200);
        whole_of(response.body_mut()).await.unwrap_err();
    }
}

/// It was answered, so it is a call; the record says that it was not whole, and whose fault that was.
async fn is_counted_as_cut(gateway: &TestGateway) {
    let record = gateway.access_record(|record| record["status"] == 200).await;
    assert_eq!((&record["aborted"], &record["owner"]), (&json!(true), &json!("upstream")), "{record}");
    eventually("the call is counted", || async {
        let usage = gateway.usage("acme").await;
        (usage["apiCalls"] == 1 && usage["bandwidth"] == 5).then_some(())
    })
    .await;
}
