//! The verdict for every kind of ambiguous request does not depend on how it comes.

use super::*;

/// What came out of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Each good request: method, target, version, fields.
    pub(super) heads: Vec<String>,
    /// And its body, trailers behind it.
    pub(super) bodies: Vec<String>,
    pub(super) refused: Option<Violation>,
    pub(super) broken: Option<&'static str>,
    /// What follows a request for a WebSocket.
    pub(super) rest: Vec<u8>,
}

/// Reads all of a stream, with an answer to each request as soon as it has come.
pub(super) fn read(pieces: impl IntoIterator<Item = Vec<u8>>, limits: FramingLimits) -> Seen {
    let mut wire = Wire::sending(pieces);
    let (mut reader, state, mut seen) = (reader(limits), State::new(instant()), Seen::default());
    loop {
        match reader.poll_next(&mut wire, &mut noop(), &state) {
            Poll::Ready(Ok(Next::Request(head))) => {
                let RequestHead { method, uri, version, fields } = head.request;
                seen.heads.push(format!("{method} {uri} {version:?} {:?}", fields.to_map()));
                state.head_passed(false);
                state.request_done(instant());
                if !body(&mut reader, &mut wire, &mut seen) {
                    return seen;
                }
            }
            Poll::Ready(Ok(Next::Refused(violation))) => seen.refused = Some(violation),
            Poll::Ready(Ok(Next::End)) => return seen,
            other => panic!("{other:?}"),
        }
        if seen.refused.is_some() {
            return seen;
        }
    }
}

/// Reads a body; false where nothing follows it.
fn body(reader: &mut Reader, wire: &mut Wire, seen: &mut Seen) -> bool {
    let mut body = String::new();
    let goes_on = loop {
        let is_last = match reader.piece() {
            Piece::Frame(frame, is_last) => {
                match frame.into_data() {
                    Ok(data) => body.extend(data.iter().map(|octet| char::from(*octet))),
                    Err(frame) => body += &format!("{:?}", frame.into_trailers().unwrap()),
                }
                is_last
            }
            Piece::End => true,
            Piece::Broken(reason) => {
                seen.broken = Some(reason);
                break false;
            }
            Piece::More => {
                if !matches!(reader.poll_fill(wire, &mut noop()), Poll::Ready(Ok(1..))) {
                    break false;
                }
                false
            }
        };
        if is_last {
            break reader.is_at_head();
        }
    };
    seen.bodies.push(body);
    if !goes_on && seen.broken.is_none() {
        while matches!(reader.poll_fill(wire, &mut noop()), Poll::Ready(Ok(1..))) {}
        seen.rest = reader.take_rest().to_vec();
    }
    goes_on
}

pub(super) fn whole(stream: &[u8]) -> Seen {
    read([stream.to_vec()], LIMITS)
}

pub(super) fn octet_by_octet(stream: &[u8]) -> Seen {
    read(stream.iter().map(|octet| vec![*octet]), LIMITS)
}

fn verdict(stream: &[u8]) -> Option<Violation> {
    let seen = whole(stream);
    assert_eq!(seen, octet_by_octet(stream), "{}", stream.escape_ascii());
    assert_eq!(seen.heads.len(), usize::from(seen.refused.is_none()), "{}", stream.escape_ascii());
    seen.refused
}

/// Heads that are refused with 400, and a word of the reason.
pub(super) const BAD: &[(&str, &str)] = &[
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

#[test]
fn what_follows_a_good_request_is_the_next_head() {
    for good in GOOD {
        let seen = whole(format!("{good}GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n").as_bytes());
        assert_eq!((seen.heads.len(), seen.refused), (1, Some(Violation::BadRequest("no Host"))), "{good:?}");
    }
}

#[test]
fn a_head_becomes_the_request_that_it_is() {
    let head = "PURGE http://a/b?c=%20d HTTP/1.1\r\nHOST: a\r\nX-Twice: 1\r\nx-twice:\t 2 \r\nX-Empty:\r\nX-High: \u{e9}\r\n\r\n";
    let seen = whole(head.as_bytes());
    let fields = r#"{"host": "a", "x-twice": "1", "x-twice": "2", "x-empty": "", "x-high": "\xc3\xa9"}"#;
    assert_eq!(seen.heads, [format!("PURGE http://a/b?c=%20d HTTP/1.1 {fields}")]);
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
        let (seen, good) = (whole(stream.as_bytes()), whole(format!("{head}{good}").as_bytes()));
        assert!(seen.broken.is_some() && good.broken.is_none(), "{stream:?}");
        assert_eq!(seen.bodies, good.bodies, "{stream:?}");
        assert_eq!(seen, octet_by_octet(stream.as_bytes()));
    }
}

#[test]
fn chunks_become_a_body_and_its_trailers() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let stream = format!("{head}5;x=y\r\nhello\r\n00A\r\n, world\r\n.\r\n0\r\nX-Sum:1\r\nx-two: a b \r\n\r\n{}", GOOD[0]);
    for seen in [whole(stream.as_bytes()), octet_by_octet(stream.as_bytes())] {
        assert_eq!(seen.bodies, ["hello, world\r\n.{\"x-sum\": \"1\", \"x-two\": \"a b\"}", ""]);
    }
}

#[test]
fn after_a_request_for_a_websocket_nothing_is_looked_at() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c, WebSocket\r\nConnection: keep-alive, Upgrade\r\n\r\n";
    let frames = "\0\0 not HTTP \n\n";
    let stream = format!("{head}{frames}");
    for seen in [whole(stream.as_bytes()), octet_by_octet(stream.as_bytes())] {
        assert_eq!((seen.rest.as_slice(), seen.refused, seen.broken), (frames.as_bytes(), None, None));
    }
}

#[test]
fn a_good_head_holds_no_buffer() {
    let mut wire = Wire::sending(GOOD[0].bytes().map(|octet| vec![octet])).staying();
    let (mut reader, state) = (reader(LIMITS), State::new(instant()));
    assert!(reader.poll_next(&mut wire, &mut noop(), &state).is_ready());
    assert!(reader.poll_gone(&mut wire, &mut noop()).is_pending());
    assert_eq!(reader.held(), (0, 0));
    wire.sends.push_back(b"GET / HT".to_vec());
    assert!(reader.poll_next(&mut wire, &mut noop(), &state).is_pending());
    assert_eq!(reader.held(), (8, 8));
}
