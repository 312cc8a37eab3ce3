//! What is taken for a response, and what is refused.

use http_body_util::BodyExt;

use super::super::{Pool, SendError};
use super::support::*;

/// What becomes of octets that answer a request, after which the connection closes.
#[derive(Debug, PartialEq)]
enum Outcome {
    Response(u16, &'static str),
    Garbage,
    Cut,
    Closed,
}
use Outcome::{Closed, Cut, Garbage, Response};

async fn outcome(pool: &Pool, method: &str, octets: &[u8], piecewise: bool) -> Outcome {
    let octets = octets.to_vec();
    let server = Server::start(move |_, mut peer| {
        let octets = octets.clone();
        async move {
            peer.head().await;
            if piecewise {
                for octet in octets {
                    peer.say([octet]).await;
                    tokio::task::yield_now().await;
                }
            } else {
                peer.say(octets).await;
            }
        }
    })
    .await;
    let request = request(method).body(http_body_util::Empty::new()).unwrap();
    match send(pool, &server.target, request).await {
        Ok(response) => {
            let status = response.status().as_u16();
            match read(response.into_body()).await {
                Ok((body, _)) => Response(status, String::from_utf8(body).unwrap().leak()),
                Err(_) => Cut,
            }
        }
        Err(SendError::Garbage(_)) => Garbage,
        Err(SendError::Closed(_)) => Closed,
        Err(other) => panic!("{other:?}"),
    }
}

const TABLE: &[(&str, &str, Outcome)] = &[
    // Lengths.
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Response(200, "hello")),
    ("GET", "HTTP/1.1 200 OK\r\ncontent-length:5  \r\n\r\nhello", Response(200, "hello")),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", Response(200, "hello")),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Response(200, "")),
    ("GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", Response(200, "")),
    ("GET", "HTTP/1.1 200 é\r\nContent-Length: 0\r\n\r\n", Response(200, "")),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", Cut),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", Response(200, "hello")),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nhello", Garbage),
    // Until the connection closes.
    ("GET", "HTTP/1.1 200 OK\r\n\r\nhello", Response(200, "hello")),
    ("GET", "HTTP/1.0 200 OK\r\n\r\nhello", Response(200, "hello")),
    ("GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", Response(200, "hello")),
    // Chunks.
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Response(200, "hello")),
    ("GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2;a=b\r\nhe\r\n003\r\nllo\r\n0\r\n\r\n", Response(200, "hello")),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5 \t; a\r\nhello\r\n0\r\n\r\n", Response(200, "hello")),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\nA: b\r\n\r\n", Response(200, "0123456789")),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Response(200, "")),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", Cut),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", Cut),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r", Cut),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n", Cut),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n", Cut),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n", Cut),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n", Cut),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", Cut),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000005\r\nhello\r\n0\r\n\r\n", Cut),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;\x01\r\nhello\r\n0\r\n\r\n", Cut),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n;\r\nhello\r\n0\r\n\r\n", Cut),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA : b\r\n\r\n", Cut),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n\r\n", Cut),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\n", Cut),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nnonsense\r\n\r\n", Cut),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Garbage),
    ("GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Garbage),
    // No body, whatever the fields say.
    ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Response(200, "")),
    ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Response(200, "")),
    ("HEAD", "HTTP/1.1 200 OK\r\n\r\n", Response(200, "")),
    ("GET", "HTTP/1.1 204 No Content\r\n\r\n", Response(204, "")),
    ("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", Response(204, "")),
    ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Response(304, "")),
    // Interim responses.
    ("GET", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Response(200, "ok")),
    ("GET", "HTTP/1.1 100 Continue\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Response(200, "ok")),
    ("GET", "HTTP/1.1 102 Processing\r\n\r\n", Closed),
    ("GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", Garbage),
    // Lines and fields.
    ("GET", "", Closed),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Le", Closed),
    ("GET", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\nhello", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello", Garbage),
    ("GET", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 5\r\n\r\nhello", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\n A: b\r\nContent-Length: 5\r\n\r\nhello", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nA\r\nContent-Length: 5\r\n\r\nhello", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 5\r\n\r\nhello", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nA: b\0\r\nContent-Length: 5\r\n\r\nhello", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 5\r\n\r\nhello", Garbage),
    ("GET", "HTTP/1.1 200 OK\r\nA\0: b\r\nContent-Length: 5\r\n\r\nhello", Garbage),
    ("GET", "HTTP/1.1 200 O\rK\r\nContent-Length: 5\r\n\r\nhello", Garbage),
    ("GET", "HTTP/1.1  200 OK\r\nContent-Length: 5\r\n\r\nhello", Garbage),
    ("GET", "HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello", Garbage),
    ("GET", "HTTP/1.1 099 OK\r\nContent-Length: 5\r\n\r\nhello", Garbage),
    ("GET", "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", Garbage),
    ("GET", "HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello", Garbage),
    ("GET", "http/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Garbage),
    ("GET", "SSH-2.0-OpenSSH_9.2\r\n", Garbage),
    ("GET", "<html>hello</html>", Garbage),
];

#[tokio::test]
async fn a_response_has_one_reading_or_is_refused() {
    let pool = pool();
    for (method, octets, expected) in TABLE {
        assert_eq!(outcome(&pool, method, octets.as_bytes(), false).await, *expected, "{method} {octets:?}");
    }
}

#[tokio::test]
async fn a_response_reads_the_same_octet_by_octet() {
    let pool = pool();
    for (method, octets, expected) in TABLE {
        assert_eq!(outcome(&pool, method, octets.as_bytes(), true).await, *expected, "{method} {octets:?}");
    }
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused_and_one_within_passes() {
    let pool = pool_with(super::super::PoolSettings { max_head: 1000, ..settings() });
    let head = |size: usize| {
        let frame = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: \r\n\r\n".len();
        format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: {}\r\n\r\n", "a".repeat(size - frame))
    };
    assert_eq!(outcome(&pool, "GET", head(1000).as_bytes(), false).await, Response(200, ""));
    assert_eq!(outcome(&pool, "GET", head(1001).as_bytes(), false).await, Garbage);
    assert_eq!(outcome(&pool, "GET", format!("HTTP/1.1 200 OK\r\nA: {}", "a".repeat(2000)).as_bytes(), true).await, Garbage);
    let many = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}\r\n", "A: b\r\n".repeat(128));
    assert_eq!(outcome(&pool, "GET", many.as_bytes(), false).await, Garbage);
    let trailers = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: {}", "a".repeat(2000));
    assert_eq!(outcome(&pool, "GET", trailers.as_bytes(), true).await, Cut);
}

#[tokio::test]
async fn at_most_sixteen_interim_responses_are_skipped() {
    let pool = pool();
    let heads = |count| format!("{}HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(count));
    assert_eq!(outcome(&pool, "GET", heads(16).as_bytes(), false).await, Response(204, ""));
    assert_eq!(outcome(&pool, "GET", heads(17).as_bytes(), false).await, Garbage);
}

#[tokio::test]
async fn fields_keep_their_order_octets_and_repetitions() {
    let server = Server::replying(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX-Empty:\r\nSet-Cookie: b=2\r\nX-Latin: caf\xe9\r\nContent-Length: 0\r\n\r\n".to_vec(),
    )
    .await;
    let response = send(&pool(), &server.target, get()).await.unwrap();
    let headers = response.headers();
    assert_eq!(headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!(headers["x-empty"], "");
    assert_eq!(headers["x-latin"].as_bytes(), b"caf\xe9");
    assert_eq!(headers.len(), 5);
}

#[tokio::test]
async fn lengths_stay_where_they_tell_of_a_body_that_is_not_sent() {
    for (method, status, expected) in
        [("HEAD", "200 OK", Some("5")), ("GET", "304 Not Modified", Some("5")), ("GET", "204 No Content", None)]
    {
        let server = Server::replying(format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n")).await;
        let request = request(method).body(http_body_util::Empty::new()).unwrap();
        let response = send(&pool(), &server.target, request).await.unwrap();
        let lengths: Vec<_> = response.headers().get_all("content-length").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(lengths, Vec::from_iter(expected), "{method} {status}");
    }
}

#[tokio::test]
async fn trailers_come_after_the_data() {
    let server =
        Server::replying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n").await;
    let pool = pool();
    for _ in 0..2 {
        let response = send(&pool, &server.target, get()).await.unwrap();
        let (body, trailers) = read(response.into_body()).await.unwrap();
        assert_eq!(body, b"hello");
        assert_eq!(trailers.unwrap().get_all("x-sum").iter().collect::<Vec<_>>(), ["1", "2"]);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn what_came_before_a_cut_is_handed_out_first() {
    let server = Server::start(|_, mut peer| async move {
        peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX").await;
        peer.rest().await;
    })
    .await;
    let mut body = send(&pool(), &server.target, get()).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    assert!(body.frame().await.unwrap().is_err());
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_reset_never_ends_a_body_cleanly() {
    let server = Server::start(|_, mut peer| async move {
        peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\n\r\nhello").await;
        peer.exactly(1).await;
        peer.reset();
    })
    .await;
    let (feeder, body) = feed();
    let request = request("POST").header("content-length", "1").body(body).unwrap();
    let mut body = send(&pool(), &server.target, request).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    feeder.send(data("x")).await.unwrap();
    assert!(read(body).await.is_err());
}
