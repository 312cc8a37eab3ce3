//! HTTP/2 frames that no client library sends: what would mean another request in HTTP/1.1 never reaches the app.

use crate::support::raw::black_hole;
use crate::support::wire::Wire;
use crate::support::{Raw, RawUpstream, TestGateway, Upstream, tenant};

const ACME: &str = "acme.example.localhost";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as literals that are not indexed, without Huffman coding (RFC 7541, section 6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// How stream 1 ended: the first octet of the answer's fields, or that it was reset or the connection closed.
async fn outcome(mut wire: Wire, request: &[u8]) -> Option<u8> {
    wire.send([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &*frame(4, 0, 0, b""), request].concat()).await;
    loop {
        let head = wire.octets(9).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = wire.octets(length).await?;
        match (head[3], stream) {
            (HEADERS, 1) => return payload.first().copied(),
            (RST_STREAM, 1) | (GOAWAY, 0) => return None,
            _ => {}
        }
    }
}

#[tokio::test]
async fn malformed_h2_requests_never_reach_the_app() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    let connect = async || gateway.tls_with(gateway.tls_config(&["h2"]), ACME).await.unwrap();
    let usual = [(":method", "POST"), (":scheme", "https"), (":path", "/"), (":authority", ACME)];
    let with = |more: &[(&'static str, &'static str)]| [&usual, more].concat();
    let whole = END_STREAM | END_HEADERS;

    let fields = with(&[("x-ok", "1")]);
    // 0x88 is `:status: 200` in the static table.
    assert_eq!(outcome(connect().await, &frame(HEADERS, whole, 1, &block(&fields))).await, Some(0x88));
    assert_eq!(origin.seen().len(), 1);

    let smuggled = "1\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: globex.example.localhost";
    let heads: [Vec<(&str, &str)>; 22] = [
        with(&[("transfer-encoding", "chunked")]),
        with(&[("connection", "x-tenant-id")]),
        with(&[("keep-alive", "timeout=5")]),
        with(&[("proxy-connection", "keep-alive")]),
        with(&[("upgrade", "websocket")]),
        with(&[("te", "gzip")]),
        with(&[("X-Upper", "1")]),
        with(&[("x-a", smuggled)]),
        with(&[("x-a\r\nx-b", "1")]),
        with(&[("x a", "1")]),
        with(&[("", "1")]),
        with(&[("x-nul", "a\0b")]),
        with(&[("x-a", " 1")]),
        with(&[("x-a", "1\t")]),
        with(&[("x-a", "1"), (":path", "/late")]),
        with(&[(":path", "/twice")]),
        with(&[(":authority", "globex.example.localhost")]),
        with(&[(":unknown", "1")]),
        with(&[(":status", "200")]),
        with(&[("content-length", "5")]),
        vec![(":method", "GET"), (":scheme", "https"), (":authority", ACME), (":path", "/ HTTP/1.1\r\nHost: globex.example.localhost")],
        vec![(":method", "GET"), (":scheme", "https"), (":authority", ACME)],
    ];
    for fields in heads {
        let answer = outcome(connect().await, &frame(HEADERS, whole, 1, &block(&fields))).await;
        assert_ne!(answer, Some(0x88), "{fields:?}");
        assert_eq!(origin.seen().len(), 1, "{fields:?} reached the app");
    }
    for lengths in [&["x"][..], &["-1"], &["2", "3"], &["2, 2"]] {
        let fields: Vec<(&str, &str)> = lengths.iter().map(|length| ("content-length", *length)).collect();
        let request = [frame(HEADERS, END_HEADERS, 1, &block(&[&usual[..], &fields].concat())), frame(0, END_STREAM, 1, b"ok")].concat();
        assert_ne!(outcome(connect().await, &request).await, Some(0x88), "{lengths:?}");
        assert_eq!(origin.seen().len(), 1, "{lengths:?} reached the app");
    }
    // A body of another length than was declared: the app may see the head, but never a whole request.
    for body in ["", "o", "too long"] {
        let fields = with(&[("content-length", "2")]);
        let request = [frame(HEADERS, END_HEADERS, 1, &block(&fields)), frame(0, END_STREAM, 1, body.as_bytes())].concat();
        assert_ne!(outcome(connect().await, &request).await, Some(0x88), "{body:?}");
    }
}

#[tokio::test]
async fn thousands_of_small_pieces_may_wait_for_an_app() {
    let (_listener, address) = black_hole().await;
    let gateway = TestGateway::to_url(&format!("http://{address}")).tenant(tenant("acme")).set("upstream.connect_timeout", "1s");
    let gateway = gateway.start().await;
    let mut client = Raw::over(gateway.raw_tls("acme", "h2").await);
    client.begin_http2().await;
    let before = gateway.memory_kb("VmRSS");
    for stream in [3, 5, 7] {
        client.post(stream).await;
        client.octets(stream, 40_000).await;
    }
    for stream in [3, 5, 7] {
        assert!(client.end_of(stream).await.flatten().is_some(), "the connection was given up");
    }
    // An octet is one, not the hundreds that a frame takes which is kept as such.
    let grown = gateway.memory_kb("VmHWM").saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} kB for 120,000 octets");
    client.get(9).await;
    assert!(client.end_of(9).await.flatten().is_some(), "the connection was given up");
}

#[tokio::test]
async fn pieces_without_content_are_not_counted_against_a_client() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let mut client = Raw::over(gateway.raw_tls("acme", "h2").await);
    client.begin_http2().await;
    for stream in [3, 5, 7] {
        client.post(stream).await;
        client.empty_pieces(stream, 200).await;
        client.last_octet(stream).await;
        assert!(client.end_of(stream).await.flatten().is_some(), "the connection was given up");
    }
    assert_eq!(origin.seen().len(), 4);
}

#[tokio::test]
async fn what_comes_long_after_an_early_answer_is_thrown_away() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).tenant(tenant("acme")).start().await;
    let mut client = Raw::over(gateway.raw_tls("acme", "h2").await);
    client.begin_http2().await;
    let (mut app, _) = origin.head().await;
    app.send("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
    assert!(client.end_of(1).await.flatten().is_some());
    client.post(3).await;
    let (mut app, _) = origin.head().await;
    app.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    assert!(client.end_of(3).await.flatten().is_some());
    // Longer than h2 remembers an ended stream when it is not told to: the time that passes is what is tested.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    client.octets(3, 3000).await;
    client.get(5).await;
    let (mut app, _) = origin.head().await;
    app.send("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
    assert!(client.end_of(5).await.flatten().is_some(), "the connection was given up");
}
