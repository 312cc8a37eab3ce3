//! What an upstream gets to read.

use std::io;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::{Body, Frame};
use http_body_util::{Empty, Full};
use tokio::sync::mpsc;

use super::super::{Progress, SendError};
use super::support::*;

/// What arrives of a request, when the upstream answers and closes as soon as it has read `until`.
async fn received<B>(request: impl Into<super::super::Request<B>>, until: &'static str) -> String
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let server = Server::start(move |_, mut peer| {
        let sender = sender.clone();
        async move {
            let mut octets = Vec::new();
            while !octets.ends_with(until.as_bytes()) {
                octets.extend(peer.exactly(1).await);
            }
            peer.say("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
            octets.extend(peer.rest().await);
            sender.send(String::from_utf8(octets).unwrap()).unwrap();
        }
    })
    .await;
    send(&pool(), &server.target, request).await.unwrap();
    receiver.recv().await.unwrap()
}

fn with_uri(method: &str, uri: &str) -> Request<Empty<Bytes>> {
    Request::builder().method(method).uri(uri).body(Empty::new()).unwrap()
}

#[tokio::test]
async fn the_target_is_in_origin_form() {
    for (method, uri, line) in [
        ("GET", "/", "GET / HTTP/1.1"),
        ("GET", "/a/b?c=d&e", "GET /a/b?c=d&e HTTP/1.1"),
        ("GET", "http://app.test", "GET / HTTP/1.1"),
        ("GET", "https://app.test/a?b", "GET /a?b HTTP/1.1"),
        ("GET", "http://app.test?b", "GET /?b HTTP/1.1"),
        ("OPTIONS", "*", "OPTIONS * HTTP/1.1"),
        ("PURGE", "/a", "PURGE /a HTTP/1.1"),
    ] {
        assert_eq!(received(with_uri(method, uri), "\r\n\r\n").await, format!("{line}\r\n\r\n"), "{method} {uri}");
    }
}

#[tokio::test]
async fn fields_go_out_as_they_are_but_framing_is_decided_here() {
    let request = request("GET")
        .header("x-a", "1")
        .header("x-latin", http::HeaderValue::from_bytes(b"caf\xc3\xa9").unwrap())
        .header("transfer-encoding", "chunked")
        .header("x-a", "2")
        .header("connection", "Upgrade")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let expected = "GET /path?query HTTP/1.1\r\nhost: app.test\r\nx-a: 1\r\nx-a: 2\r\nx-latin: café\r\nconnection: Upgrade\r\n\r\n";
    assert_eq!(received(request, "\r\n\r\n").await, expected);
}

#[tokio::test]
async fn cookies_are_joined() {
    let request =
        request("GET").header("cookie", "a=1").header("cookie", "b=2").header("cookie", "c=3").body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(received(request, "\r\n\r\n").await, "GET /path?query HTTP/1.1\r\nhost: app.test\r\ncookie: a=1; b=2; c=3\r\n\r\n");
}

#[tokio::test]
async fn empty_cookies_leave_nothing() {
    let request = |cookies: &[&str]| {
        let request = cookies.iter().fold(request("GET"), |request, cookie| request.header("cookie", *cookie));
        request.body(Empty::<Bytes>::new()).unwrap()
    };
    assert!(received(request(&["a=1", "", "b=2"]), "\r\n\r\n").await.ends_with("\r\ncookie: a=1; b=2\r\n\r\n"));
    assert_eq!(received(request(&["", ""]), "\r\n\r\n").await, "GET /path?query HTTP/1.1\r\nhost: app.test\r\n\r\n");
}

#[tokio::test]
async fn a_missing_body_is_said_where_one_is_usual() {
    for (method, said) in [("POST", true), ("PUT", true), ("PATCH", true), ("GET", false), ("DELETE", false), ("OPTIONS", false)] {
        let request = request(method).body(Empty::<Bytes>::new()).unwrap();
        let head = received(request, "\r\n\r\n").await;
        assert_eq!(head.contains("content-length: 0\r\n"), said, "{method}");
        assert!(!head.contains("transfer-encoding"), "{method}");
    }
}

#[tokio::test]
async fn a_length_is_kept_and_its_body_sent_as_it_is() {
    let request =
        request("POST").header("content-length", "5").header("content-length", "5").body(Full::new(Bytes::from("hello"))).unwrap();
    assert_eq!(received(request, "hello").await, "POST /path?query HTTP/1.1\r\nhost: app.test\r\ncontent-length: 5\r\n\r\nhello");
}

#[tokio::test]
async fn a_body_without_length_goes_out_in_chunks() {
    let request = post("hello, hello, hello");
    let expected =
        "POST /path?query HTTP/1.1\r\nhost: app.test\r\ntransfer-encoding: chunked\r\n\r\n13\r\nhello, hello, hello\r\n0\r\n\r\n";
    assert_eq!(received(request, "0\r\n\r\n").await, expected);
}

#[tokio::test]
async fn frames_become_chunks_and_trailers_their_section() {
    let (feeder, body) = feed();
    tokio::spawn(async move {
        feeder.send(data("a".repeat(16))).await.unwrap();
        feeder.send(data("")).await.unwrap();
        feeder.send(data("b")).await.unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        feeder.send(Ok(Frame::trailers(trailers))).await.unwrap();
    });
    let octets = received(request("PUT").body(body).unwrap(), "x-sum: 1\r\n\r\n").await;
    assert!(octets.ends_with("\r\n\r\n10\r\naaaaaaaaaaaaaaaa\r\n1\r\nb\r\n0\r\nx-sum: 1\r\n\r\n"), "{octets}");
}

#[tokio::test]
async fn each_chunk_is_whole_when_it_is_sent() {
    let (feeder, body) = feed();
    let (seen, mut reports) = mpsc::unbounded_channel();
    let server = Server::start(move |_, mut peer| {
        let seen = seen.clone();
        async move {
            peer.head().await;
            for _ in 0..3 {
                seen.send(peer.exactly("1\r\na\r\n".len()).await).unwrap();
            }
            peer.say("HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    })
    .await;
    let request = request("PUT").body(body).unwrap();
    let feeding = async {
        for _ in 0..3 {
            feeder.send(data("a")).await.unwrap();
            // The next is sent only after the last has arrived with its line end.
            assert_eq!(reports.recv().await.unwrap(), b"1\r\na\r\n");
        }
    };
    let pool = pool();
    let (response, ()) = tokio::join!(send(&pool, &server.target, request), feeding);
    assert_eq!(response.unwrap().status(), 204);
}

/// What arrives of a request that cannot be sent to its end, and whether anything of the head was sent.
async fn broken(request: Request<Feed>, frames: Vec<Result<Frame<Bytes>, io::Error>>) -> (Vec<u8>, bool) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let server = Server::start(move |_, mut peer| {
        let sender = sender.clone();
        async move { sender.send(peer.rest().await).unwrap() }
    })
    .await;
    let (feeder, body) = feed();
    tokio::spawn(async move {
        for frame in frames {
            if feeder.send(frame).await.is_err() {
                break;
            }
        }
    });
    let progress = Progress::default();
    let request = request.map(|_| body);
    let outcome = pool().send(&[server.target], 0, request.into(), &progress, &|_| ()).await;
    assert!(matches!(outcome, Err(SendError::RequestBody(_))));
    (receiver.recv().await.unwrap(), progress.head_sent())
}

#[tokio::test]
async fn a_failed_body_never_looks_complete() {
    let failing = || vec![data("hello"), Err(io::Error::other("the client left"))];
    let (octets, head_sent) = broken(request("POST").body(feed().1).unwrap(), failing()).await;
    assert!(octets.ends_with(b"\r\n\r\n5\r\nhello\r\n"), "{octets:?}");
    assert!(head_sent);

    let with_length = || request("POST").header("content-length", "6").body(feed().1).unwrap();
    let (octets, _) = broken(with_length(), failing()).await;
    assert!(octets.ends_with(b"\r\n\r\nhello"));
    let (octets, _) = broken(with_length(), vec![data("hello")]).await;
    assert!(octets.ends_with(b"\r\n\r\nhello"));
    let (octets, _) = broken(with_length(), vec![data("hello"), data("!!")]).await;
    assert!(octets.ends_with(b"\r\n\r\nhello"));
}

#[tokio::test]
async fn a_length_without_its_body_is_refused_before_anything_is_sent() {
    let server = Server::replying("HTTP/1.1 204 No Content\r\n\r\n").await;
    for length in ["5", "x", "-1"] {
        let request = request("POST").header("content-length", length).body(Empty::<Bytes>::new()).unwrap();
        assert!(matches!(send(&pool(), &server.target, request).await, Err(SendError::RequestBody(_))), "{length}");
    }
    let request = request("POST").header("content-length", "1").header("content-length", "2").body(Full::new(Bytes::from("ab"))).unwrap();
    assert!(matches!(send(&pool(), &server.target, request).await, Err(SendError::RequestBody(_))));
    assert_eq!(server.connections(), 0);
}
