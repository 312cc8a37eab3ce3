//! Messages keep their meaning: no body where there is none, lengths where they are said, trailers, any method.

use crate::support::connect::{head_of, push, whole_of};
use crate::support::{RawUpstream, TestGateway, Upstream, tenant, within};

async fn gateway(origin: &RawUpstream) -> TestGateway {
    TestGateway::to_url(&origin.url()).tenant(tenant("acme")).start().await
}

/// Method, the app's answer as it writes it, and what the client sees of it: status, length and body.
type Case = (&'static str, &'static str, u16, Option<&'static str>, &'static str);

const CASES: [Case; 9] = [
    ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 12345\r\n\r\n", 200, Some("12345"), ""),
    ("HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 200, None, ""),
    ("HEAD", "HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\n", 404, Some("9"), ""),
    ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, None, ""),
    ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 12345\r\netag: \"a\"\r\n\r\n", 304, Some("12345"), ""),
    ("GET", "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n", 304, None, ""),
    ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, Some("0"), ""),
    ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfour", 200, Some("4"), "four"),
    ("GET", "HTTP/1.1 299 Whatever\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 299, None, ""),
];

/// An app that gives these answers one after the other, all on one connection.
async fn app_of_cases(origin: RawUpstream) {
    let mut app = origin.accept().await;
    for (method, answer, ..) in CASES {
        assert!(app.head().await.first.starts_with(&format!("{method} ")));
        app.send(answer).await;
    }
    assert_eq!(app.rest().await, b"");
}

#[tokio::test]
async fn answers_without_a_body_keep_their_lengths_over_http_1_1() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let app = tokio::spawn(app_of_cases(origin));
    let mut client = gateway.raw("acme").await;
    for (method, answer, status, length, body) in CASES {
        client.send(format!("{method} / HTTP/1.1\r\nhost: acme.example.localhost\r\n\r\n")).await;
        let (head, octets) = if body.is_empty() && length != Some("0") && status != 299 {
            (client.head().await, Vec::new())
        } else {
            let message = client.message().await;
            (message.head, message.body)
        };
        // Octets that do not belong there would be taken for the next answer.
        assert_eq!((head.status(), head.field("content-length"), octets.as_slice()), (status, length, body.as_bytes()), "{answer:?}");
    }
    drop((client, gateway));
    app.await.unwrap();
}

#[tokio::test]
async fn answers_without_a_body_keep_their_lengths_over_http_2() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let app = tokio::spawn(app_of_cases(origin));
    let mut client = gateway.h2_streams("acme").await;
    for (method, answer, status, length, body) in CASES {
        let (response, _) = client.begin(method, "/", false).await;
        let mut response = head_of(response).await;
        let got = response.headers().get("content-length").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!((response.status().as_u16(), got.as_deref()), (status, length), "{answer:?}");
        assert_eq!(whole_of(response.body_mut()).await.unwrap(), body.as_bytes(), "{answer:?}");
    }
    drop((client, gateway));
    app.await.unwrap();
}

#[tokio::test]
async fn any_method_may_have_a_body_and_none_needs_one() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    for http2 in [false, true] {
        let client = gateway.client_with(|builder| if http2 { builder.http2_prior_knowledge() } else { builder.http1_only() });
        for method in ["GET", "DELETE", "OPTIONS", "PUT", "PATCH", "POST", "PROPFIND", "X-OWN"] {
            for body in ["", "something"] {
                let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
                let request = client.request(method.clone(), gateway.url("acme", "/path?query=1")).body(body);
                let echo = crate::support::gateway::send(request).await.expect(200).json();
                assert_eq!(
                    (&echo["method"], &echo["target"], &echo["body"]),
                    (&method.as_str().into(), &"/path?query=1".into(), &body.into())
                );
            }
        }
    }
}

const TRAILERS: &str = "0\r\nx-checksum: 900150983cd24fb0\r\nx-tenant-id: ten_other\r\n\r\n";

#[tokio::test]
async fn trailers_pass_both_ways_over_http_1_1_without_reserved_names() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    let head =
        "POST / HTTP/1.1\r\nhost: acme.example.localhost\r\nte: trailers\r\ntrailer: x-checksum\r\ntransfer-encoding: chunked\r\n\r\n";
    client.send(format!("{head}3\r\nabc\r\n{TRAILERS}")).await;
    let (mut app, request) = origin.request().await;
    assert_eq!(request.body, b"abc");
    assert_eq!(request.trailers, [("x-checksum".to_owned(), "900150983cd24fb0".to_owned())]);
    app.send(format!("HTTP/1.1 200 OK\r\ntrailer: x-checksum\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n{TRAILERS}")).await;
    let answer = client.message().await;
    assert_eq!((answer.head.status(), answer.body.as_slice()), (200, &b"abc"[..]));
    assert_eq!(answer.trailers, [("x-checksum".to_owned(), "900150983cd24fb0".to_owned())]);
}

#[tokio::test]
async fn a_request_s_trailers_cannot_become_another_client_s_fields() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    let head = "POST / HTTP/1.1\r\nhost: acme.example.localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    client.send(format!("{head}3\r\nabc\r\n{TRAILERS}")).await;
    let (mut app, _) = origin.request().await;
    app.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(client.head().await.status(), 204);
    // Some servers keep them for the next request of the connection; so there is none.
    assert_eq!(app.rest().await, b"");
}

#[tokio::test]
async fn trailers_pass_both_ways_over_http_2_without_reserved_names() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.h2_streams("acme").await;
    let (response, mut stream) = client.begin("POST", "/", true).await;
    push(&mut stream, "abc".into(), false).await.unwrap();
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-checksum", http::HeaderValue::from_static("900150983cd24fb0"));
    trailers.insert("x_tenant_id", http::HeaderValue::from_static("ten_other"));
    stream.send_trailers(trailers).unwrap();
    let (mut app, request) = origin.request().await;
    assert_eq!(request.body, b"abc");
    assert_eq!(request.trailers, [("x-checksum".to_owned(), "900150983cd24fb0".to_owned())]);
    app.send(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n{TRAILERS}")).await;
    let mut response = head_of(response).await;
    assert_eq!(whole_of(response.body_mut()).await.unwrap(), b"abc");
    let trailers = within("trailers", response.body_mut().trailers()).await.unwrap().unwrap();
    assert_eq!(trailers["x-checksum"], "900150983cd24fb0");
    assert_eq!(trailers.len(), 1, "{trailers:?}");
}

#[tokio::test]
async fn an_http_1_0_app_that_answers_until_it_closes_is_read_whole() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    for http2 in [false, true] {
        let client = gateway.client_with(|builder| if http2 { builder.http2_prior_knowledge() } else { builder.http1_only() });
        let asked = tokio::spawn(client.get(gateway.url("acme", "/")).send());
        let (mut app, head) = origin.head().await;
        assert_eq!(head.first, "GET / HTTP/1.1");
        app.send("HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nall of ").await;
        app.send("it").await;
        drop(app);
        let answer = asked.await.unwrap().unwrap();
        assert_eq!(answer.text().await.unwrap(), "all of it");
    }
}

#[tokio::test]
async fn an_http_1_0_client_is_served_without_chunks() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    client.send("GET / HTTP/1.0\r\nhost: acme.example.localhost\r\n\r\n").await;
    let (mut app, head) = origin.head().await;
    assert_eq!(head.first, "GET / HTTP/1.1");
    app.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n").await;
    let head = client.head().await;
    assert_eq!((head.status(), head.field("transfer-encoding")), (200, None));
    assert_eq!(client.rest().await, b"abcdef");
}

#[tokio::test]
async fn codings_and_validators_pass_as_the_app_wrote_them() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    let fields = "accept-encoding: br;q=1, gzip;q=0.5\r\nrange: bytes=2-4,9-\r\nif-none-match: W/\"a\", \"b\"\r\nif-range: \"a\"\r\n";
    client.send(format!("GET /file HTTP/1.1\r\nhost: acme.example.localhost\r\n{fields}\r\n")).await;
    let (mut app, head) = origin.head().await;
    for field in fields.lines() {
        let (name, value) = field.split_once(": ").unwrap();
        assert_eq!(head.field(name), Some(value));
    }
    let octets = b"\x1f\x8b\x08 no real gzip \x00\xff";
    let answer = "content-encoding: gzip\r\ncontent-range: bytes 2-4/10\r\netag: W/\"a\"\r\nvary: accept-encoding\r\nage: 3\r\n";
    app.send(format!("HTTP/1.1 206 Partial Content\r\n{answer}content-length: {}\r\n\r\n", octets.len())).await;
    app.send(octets).await;
    let message = client.message().await;
    assert_eq!((message.head.status(), message.body.as_slice()), (206, &octets[..]));
    for field in answer.lines() {
        let (name, value) = field.split_once(": ").unwrap();
        assert_eq!(message.head.field(name), Some(value));
    }
}

#[tokio::test]
async fn a_body_that_breaks_its_framing_is_told_and_never_looks_complete_to_the_app() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    client.send("POST / HTTP/1.1\r\nhost: acme.example.localhost\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    let (mut app, _) = origin.head().await;
    assert_eq!(app.chunk().await, b"abc");
    client.send("3\r\nabcdef\r\n0\r\n\r\n").await;
    client.message().await.refused(400, "bad_request", "http_request_error");
    assert_eq!(client.rest().await, b"");
    let rest = app.rest().await;
    assert!(!rest.windows(3).any(|three| three == b"0\r\n"), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn a_reason_phrase_is_the_apps() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    for line in ["200 Everything Fine", "418 ", "599 of our own", "599 ", "200 OK"] {
        client.send("GET / HTTP/1.1\r\nhost: acme.example.localhost\r\n\r\n").await;
        let (mut app, _) = origin.head().await;
        app.send(format!("HTTP/1.1 {line}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")).await;
        assert_eq!(client.head().await.first, format!("HTTP/1.1 {line}"));
    }
}

#[tokio::test]
async fn fields_cross_in_their_order_with_the_case_of_their_names() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    client.send("GET / HTTP/1.1\r\nB-Two: 1\r\nHost: acme.example.localhost\r\na-One: 2\r\nB-TWO: 3\r\n\r\n").await;
    let (mut app, asked) = origin.lines().await;
    assert_eq!(asked[1..5], ["B-Two: 1", "Host: acme.example.localhost", "a-One: 2", "B-TWO: 3"]);
    app.send("HTTP/1.1 200 OK\r\nZ-Last: 1\r\ncontent-length: 0\r\nA-First: 2\r\nconnection: close\r\nz-last: 3\r\n\r\n").await;
    let told = client.lines().await;
    assert_eq!(told[..4], ["HTTP/1.1 200 OK", "Z-Last: 1", "A-First: 2", "z-last: 3"]);
}
