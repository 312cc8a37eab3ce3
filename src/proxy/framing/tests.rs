//! The guarantees of the guard: the verdict for every kind of ambiguous request, in every split, alone and under hyper.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod ahead;
mod interim;
mod large;
mod splits;

use std::collections::VecDeque;
use std::convert::Infallible;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const LIMITS: FramingLimits = FramingLimits { max_head: 1024, max_headers: 8, max_target: 128 };

/// Gives out its pieces one a read, then the end.
struct Pieces(VecDeque<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.0.pop_front() {
            let rest = piece.split_off(piece.len().min(buf.remaining()));
            buf.put_slice(&piece);
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    passed: Vec<u8>,
    /// The number of the bad head and what is wrong with it.
    refused: Option<(u64, Violation)>,
    broken: Option<String>,
}

/// Ends the response to the request in flight.
fn answer(state: &FramingState) {
    if state.phase() == Phase::InRequest {
        state.request_done(crate::clock::instant());
    }
}

/// Reads all that the guard passes, with an answer to each request as soon as its head has passed; `room` is the size of the reader's buffer.
fn pass(pieces: impl IntoIterator<Item = Vec<u8>>, room: usize) -> Seen {
    let state = Arc::new(FramingState::new(crate::clock::instant()));
    let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
    let mut guard = Guarded::new(Pieces(pieces), state.clone(), LIMITS);
    let mut seen = Seen { passed: Vec::new(), refused: None, broken: None };
    let mut space = vec![0; room];
    let mut cx = Context::from_waker(std::task::Waker::noop());
    loop {
        let mut buf = ReadBuf::new(&mut space);
        let outcome = Pin::new(&mut guard).poll_read(&mut cx, &mut buf);
        answer(&state);
        match outcome {
            Poll::Ready(Ok(())) if buf.filled().is_empty() => break,
            Poll::Ready(Ok(())) => seen.passed.extend_from_slice(buf.filled()),
            Poll::Ready(Err(error)) => {
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                seen.broken = Some(error.to_string());
                break;
            }
            Poll::Pending => break,
        }
    }
    seen.refused = (0..64).find_map(|index| Some((index, state.violation_of(index)?)));
    seen
}

fn whole(stream: &[u8]) -> Seen {
    pass([stream.to_vec()], 64 * 1024)
}

fn octet_by_octet(stream: &[u8]) -> Seen {
    pass(stream.iter().map(|octet| vec![*octet]), 64 * 1024)
}

fn verdict(stream: &[u8]) -> Option<Violation> {
    let seen = whole(stream);
    assert_eq!(seen, octet_by_octet(stream), "{}", stream.escape_ascii());
    assert_eq!(seen, pass([stream.to_vec()], 7), "{}", stream.escape_ascii());
    seen.refused.map(|(index, violation)| {
        assert_eq!(index, 0);
        assert_eq!(seen.passed, SYNTHETIC_HEAD, "{}", stream.escape_ascii());
        violation
    })
}

/// Heads that are refused with 400, and a word of the reason.
const BAD: &[(&str, &str)] = &[
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "together"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", "together"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", "together"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", "other than"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", "other than"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "other than"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", "other than"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", "other than"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", "other than"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", "other than"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "more than one"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-encoding: x\r\n\r\n", "other than"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", "space before a colon"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n", "space before a colon"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", "folded"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", "bad octet"),
    ("POST / HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n", "bad octet"),
    ("POST / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n", "without CR"),
    ("POST / HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: a\r\n\r\n", "folded"),
    ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", "bad Content-Length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "bad Content-Length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1,1\r\n\r\n", "bad Content-Length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", "bad Content-Length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\n", "bad Content-Length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", "bad Content-Length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", "bad Content-Length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", "bad Content-Length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\n", "bad Content-Length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "more than one"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\n", "more than one"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 1\r\n\r\n", "space before a colon"),
    ("GET / HTTP/1.1\r\n\r\n", "no Host"),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", "bad Host"),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "more than one Host"),
    ("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", "more than one Host"),
    ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "bad Host"),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "bad Host"),
    ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "bad Host"),
    ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "differs"),
    ("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", "differs"),
    ("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "user information"),
    ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "request target"),
    ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", "request target"),
    ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", "request target"),
    ("GET a:443 HTTP/1.1\r\nHost: a\r\n\r\n", "request target"),
    ("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", "request target"),
    ("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", "octet in the request target"),
    ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", "octet in the request target"),
    ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", "request target"),
    ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "request target"),
    ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "version"),
    ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "line end"),
    ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", "version"),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "version"),
    ("GET /\r\n\r\n", "request target"),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2 on"),
    ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "bad method"),
    ("\x16\x03\x01\x02\x00\x01\x00", "bad method"),
    ("GET / HTTP/1.1\nHost: a\n\n", "without CR"),
    ("GET / HTTP/1.1\r\nHost: a\n\r\n", "without CR"),
    ("GET / HTTP/1.1\r\nHost: a\r\n\n", "without CR"),
    ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "without CR"),
    ("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "line end"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", "folded"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX Y: a\r\n\r\n", "space before a colon"),
    ("GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n", "field name"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", "field name"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", "bad octet"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", "bad octet"),
];

#[test]
fn ambiguous_heads_are_refused_in_every_split() {
    for (head, word) in BAD {
        match verdict(head.as_bytes()) {
            Some(Violation::BadRequest(reason)) => assert!(reason.contains(word), "{reason:?} for {head:?}"),
            other => panic!("{other:?} for {head:?}"),
        }
    }
}

#[test]
fn large_heads_are_refused_in_every_split() {
    let target = |octets: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(octets - 1));
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    let octets = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(count - 32));
    for (head, wanted) in [
        (target(128), None),
        (target(129), Some(Violation::UriTooLong)),
        (target(4000), Some(Violation::UriTooLong)),
        (target(129).replace('\r', ""), Some(Violation::UriTooLong)),
        ("A".repeat(2000), Some(Violation::UriTooLong)),
        (fields(8), None),
        (fields(9), Some(Violation::HeadersTooLarge)),
        (fields(400), Some(Violation::HeadersTooLarge)),
        (octets(1024), None),
        (octets(1025), Some(Violation::HeadersTooLarge)),
        (octets(9000), Some(Violation::HeadersTooLarge)),
    ] {
        assert_eq!(verdict(head.as_bytes()), wanted, "{head}");
    }
}

/// Requests that pass as they are, one after the other.
const GOOD: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "\r\nGET /a?b=c%20d&e=[f]|{g} HTTP/1.1\r\nhost:A.example:8443\r\n\r\n",
    "GET http://A:80/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET https://a/x HTTP/1.1\r\nHost: a:443\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nX: \u{e9}\t\r\n\r\n",
    "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0041\r\n\r\nGET / HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n\0",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n00A;x=\"y\"\r\n\n\n\n\n\n\n\n\n\n\n\r\n1\r\n\r\r\n0\r\nX-Sum: 1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\nx",
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
];

#[test]
fn what_follows_a_good_request_is_the_next_head() {
    for good in GOOD {
        let seen = whole(format!("{good}GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n").as_bytes());
        assert_eq!(seen.refused, Some((1, Violation::BadRequest("no Host"))), "{good:?}");
        assert_eq!(seen.passed, [good.as_bytes(), SYNTHETIC_HEAD].concat(), "{good:?}");
    }
}

#[test]
fn bad_chunks_break_the_body_at_the_first_bad_octet() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = "e".repeat(257);
    let many = "X: y\r\n".repeat(9);
    for (good, rest) in [
        ("", "g\r\n"),
        ("", "\r\n"),
        ("", " 1\r\n"),
        ("", "+1\r\n"),
        ("", ";x\r\n"),
        ("0", "x5\r\n"),
        ("5", " \r\n"),
        ("5", "\t;x\r\n"),
        ("5", "\nhello"),
        ("5;x", "\nhello"),
        ("5;", "\u{0}"),
        ("5\r", "hello"),
        ("5\r\nhello", "\n0\r\n\r\n"),
        ("5\r\nhello", "world"),
        ("5\r\nhello\r", "0\r\n\r\n"),
        ("1234567890123456", "7\r\n"),
        ("0000000000000000", "1\r\n"),
        ("0\r\n", "\n"),
        ("0\r\n\r", "x"),
        ("0\r\n", " X: y\r\n"),
        ("0\r\n", ": y\r\n"),
        ("0\r\nX", " : y\r\n"),
        ("0\r\nX", "\r\n\r\n"),
        ("0\r\nX: y", "\n\r\n"),
        ("0\r\nX: y\r", "\r\n"),
        ("0\r\nX: ", "\0\r\n"),
        (&format!("5;{}", &long[..256]), &long[256..]),
        (&format!("0\r\n{}", &many[..48]), &many[48..]),
    ] {
        let stream = format!("{head}{good}{rest}");
        let seen = whole(stream.as_bytes());
        assert!(seen.broken.is_some(), "{stream:?}");
        assert_eq!(seen.passed, format!("{head}{good}").as_bytes(), "{stream:?}");
        assert_eq!(seen, octet_by_octet(stream.as_bytes()));
    }
}

#[test]
fn after_a_websocket_head_everything_passes() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c, WebSocket\r\nConnection: keep-alive, Upgrade\r\n\r\n";
    let stream = format!("{head}\0\0 not HTTP \n\n");
    for seen in [whole(stream.as_bytes()), octet_by_octet(stream.as_bytes())] {
        assert_eq!((seen.passed.as_slice(), seen.refused, seen.broken), (stream.as_bytes(), None, None));
    }
}

#[test]
fn an_idle_guard_holds_no_buffer() {
    let state = Arc::new(FramingState::new(crate::clock::instant()));
    let pieces = GOOD[0].bytes().map(|octet| vec![octet]).collect();
    let mut guard = Guarded::new(Pieces(pieces), state, LIMITS);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut space = [0; 256];
    let mut buf = ReadBuf::new(&mut space);
    assert!(Pin::new(&mut guard).poll_read(&mut cx, &mut buf).is_ready());
    assert_eq!((buf.filled(), guard.held.capacity()), (GOOD[0].as_bytes(), 0));
}

#[tokio::test]
async fn phases_follow_the_connection() {
    let started = crate::clock::instant();
    let state = Arc::new(FramingState::new(started));
    let (mut client, server) = tokio::io::duplex(1024);
    let mut guard = Guarded::new(server, state.clone(), LIMITS);
    assert_eq!(state.phase(), Phase::ReadingHead { since_ms: 0 });
    let mut space = [0; 256];
    client.write_all(GOOD[0].as_bytes()).await.unwrap();
    assert_ne!(guard.read(&mut space).await.unwrap(), 0);
    assert_eq!(state.phase(), Phase::InRequest);
    state.request_done(started + std::time::Duration::from_millis(7));
    assert_eq!(state.phase(), Phase::Idle { since_ms: 7 });
    client.write_all(b"GET").await.unwrap();
    assert!(futures_util::poll!(std::pin::pin!(guard.read(&mut space))).is_pending());
    assert!(matches!(state.phase(), Phase::ReadingHead { since_ms: 7.. }));
    client.write_all(b" / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n").await.unwrap();
    assert_ne!(guard.read(&mut space).await.unwrap(), 0);
    assert_eq!(state.phase(), Phase::InRequest);
    assert_eq!((state.upgraded_at(0), state.upgraded_at(1)), (false, true));
}

/// Serves one connection with hyper under the guard; what the client gets for `stream`.
async fn serve(stream: &[u8]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let state = Arc::new(FramingState::new(crate::clock::instant()));
    let io = TokioIo::new(Guarded::new(server, state.clone(), LIMITS));
    let count = std::cell::Cell::new(0);
    let service = service_fn(|request: Request<Incoming>| {
        let index = count.replace(count.get() + 1);
        let state = Arc::clone(&state);
        let violation = state.violation_of(index);
        async move {
            let path = request.uri().path().to_owned();
            let text = match (violation, request.into_body().collect().await) {
                (Some(violation), _) => format!("<{index} refused: {}>", violation.reason()),
                (None, Ok(body)) => format!("<{index} {path} {:?}>", body.to_bytes()),
                (None, Err(_)) => format!("<{index} {path} broken>"),
            };
            state.request_done(crate::clock::instant());
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
    // The client closes when it has read the end, so that the server need not wait whether more comes.
    let talk = async move {
        let mut answer = String::new();
        client.write_all(stream).await.unwrap();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (_, answer) = tokio::join!(connection, talk);
    answer.split_inclusive('>').filter_map(|part| part.find('<').map(|at| &part[at..])).collect()
}

#[tokio::test]
async fn hyper_answers_the_good_requests_before_a_bad_one() {
    let good = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let bad =
        "POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /d HTTP/1.1\r\nHost: a\r\n\r\n";
    let stream = format!("{good}GET /b HTTP/1.1\r\nHost: a\r\n\r\n{bad}");
    assert_eq!(serve(stream.as_bytes()).await, "<0 /a b\"hi\"><1 /b b\"\"><2 refused: Transfer-Encoding together with Content-Length>");
}

#[tokio::test]
async fn hyper_answers_and_closes_after_a_broken_body() {
    let stream = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(serve(stream.as_bytes()).await, "<0 /a broken>");
}

#[tokio::test]
async fn hyper_takes_every_head_that_the_guard_takes() {
    for good in GOOD {
        let stream = format!("{good}GET / HTTP/1.1\r\n\r\n");
        let answer = serve(stream.as_bytes()).await;
        let closes = good.contains("HTTP/1.0");
        assert!(answer.starts_with("<0 ") && !answer.starts_with("<0 refused"), "{answer} for {good:?}");
        assert!(closes || answer.ends_with("<1 refused: no Host>"), "{answer} for {good:?}");
    }
}
