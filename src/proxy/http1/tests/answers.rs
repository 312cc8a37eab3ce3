//! How answers are written, and what is written before and after them.

use http::{HeaderMap, HeaderValue, Response};

use super::super::response::{Asked, Framing, Length, write_head};
use super::*;

const KEEPS: Asked = Asked { is_head: false, is_http_10: false, keeps_alive: true, takes_trailers: false };

/// What is written for a status, fields and a length, without the date.
fn written(status: u16, fields: &[(&'static str, &'static str)], length: Length, asked: Asked) -> (String, Framing, bool) {
    let mut answer = Answer { status: StatusCode::from_u16(status).unwrap(), ..saying(None) };
    for (name, value) in fields {
        answer.fields.push_as(name.as_bytes(), value.as_bytes());
    }
    let mut out = Vec::new();
    let written = write_head(&answer, length, asked, &mut out);
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.split("\r\n").filter(|line| !line.starts_with("date: ")).collect();
    assert!(text.contains("\r\ndate: ") || fields.iter().any(|(name, _)| *name == "date"), "{text}");
    (lines.join("|"), written.framing, written.closes)
}

#[test]
fn the_end_of_an_answer_is_told_as_its_client_understands_it() {
    let head = Asked { is_head: true, ..KEEPS };
    let old = Asked { is_http_10: true, keeps_alive: false, ..KEEPS };
    let kept = Asked { keeps_alive: true, ..old };
    let chunked = || Framing::Chunked(Vec::new());
    let (known, unknown) = (Length::Known, Length::Unknown);
    for (status, fields, length, asked, text, framing, closes) in [
        (200, &[("content-length", "5")][..], known(5), KEEPS, "HTTP/1.1 200 OK|content-length: 5", Framing::Length(5), false),
        (200, &[("content-length", "5")], unknown, KEEPS, "HTTP/1.1 200 OK|content-length: 5", Framing::Length(5), false),
        (200, &[], known(0), KEEPS, "HTTP/1.1 200 OK|content-length: 0", Framing::Length(0), false),
        (200, &[], unknown, KEEPS, "HTTP/1.1 200 OK|transfer-encoding: chunked", chunked(), false),
        (200, &[], unknown, old, "HTTP/1.0 200 OK", Framing::UntilClose, true),
        (200, &[("content-length", "5")], known(5), old, "HTTP/1.0 200 OK|content-length: 5", Framing::Length(5), true),
        (200, &[], known(0), kept, "HTTP/1.0 200 OK|content-length: 0|connection: keep-alive", Framing::Length(0), false),
        (200, &[], unknown, kept, "HTTP/1.0 200 OK", Framing::UntilClose, true),
        (200, &[("content-length", "5")], known(0), head, "HTTP/1.1 200 OK|content-length: 5", Framing::Length(0), false),
        (200, &[], known(0), head, "HTTP/1.1 200 OK", Framing::Length(0), false),
        (304, &[("content-length", "5")], known(0), KEEPS, "HTTP/1.1 304 Not Modified|content-length: 5", Framing::Length(0), false),
        (204, &[], known(0), KEEPS, "HTTP/1.1 204 No Content", Framing::Length(0), false),
        (799, &[], known(0), KEEPS, "HTTP/1.1 799 |content-length: 0", Framing::Length(0), false),
        (200, &[("date", "x")], known(0), KEEPS, "HTTP/1.1 200 OK|content-length: 0", Framing::Length(0), false),
    ] {
        assert_eq!(written(status, fields, length, asked), (format!("{text}||"), framing, closes), "{status} {fields:?} {asked:?}");
    }
}

#[test]
fn the_end_of_the_connection_is_said_once() {
    let last = Asked { keeps_alive: false, ..KEEPS };
    let text = |fields, asked| written(204, fields, Length::Known(0), asked).0;
    assert_eq!(text(&[], last), "HTTP/1.1 204 No Content|connection: close||");
    assert_eq!(text(&[("connection", "Close")], last), "HTTP/1.1 204 No Content|connection: Close||");
    assert_eq!(text(&[("connection", "x"), ("connection", "y")], last), "HTTP/1.1 204 No Content|connection: x, y, close||");
    assert!(written(204, &[("connection", "close")], Length::Known(0), KEEPS).2);
    let switch = written(101, &[("connection", "upgrade")], Length::Known(0), last);
    assert_eq!(switch.0, "HTTP/1.1 101 Switching Protocols|connection: upgrade||");
}

#[test]
fn trailers_go_to_those_who_take_them_if_they_were_announced() {
    let takes = Asked { takes_trailers: true, ..KEEPS };
    for (asked, wanted) in [(takes, "1\r\nx\r\n0\r\nx-sum: 1\r\n\r\n"), (KEEPS, "1\r\nx\r\n0\r\n\r\n")] {
        let (text, mut framing, _) = written(200, &[("trailer", "X-Sum"), ("trailer", "x-b")], Length::Unknown, asked);
        assert!(text.contains("|trailer: X-Sum, x-b|"), "{text}");
        let mut writer = Writer::new(Rc::default(), SMALL);
        assert!(!writer.put(&mut framing, Bytes::from("x"), false));
        let trailers =
            HeaderMap::from_iter([("x-sum", "1"), ("x-other", "2")].map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())));
        assert!(writer.end(&framing, Some(&trailers)));
        assert_eq!(String::from_utf8_lossy(writer.out()), wanted);
    }
}

/// Writes head and pieces of a body; what the client got, and in calls of which sizes.
fn write(mut framing: Framing, pieces: &[(usize, bool)], room: usize) -> (Vec<u8>, Vec<usize>) {
    let mut wire = Wire { room, ..Wire::default() };
    let mut writer = Writer::new(Rc::default(), SMALL);
    writer.out().extend_from_slice(b"head ");
    for (size, is_last) in pieces {
        assert!(writer.has_room());
        writer.put(&mut framing, vec![b'x'; *size].into(), *is_last);
        if !writer.has_room() {
            assert!(writer.poll_flush(&mut wire, &mut noop(), || {}).is_ready());
        }
    }
    assert!(writer.poll_flush(&mut wire, &mut noop(), || {}).is_ready());
    assert!(writer.is_empty());
    (wire.got.take(), wire.calls.take())
}

#[test]
fn head_and_body_go_out_in_one_call() {
    assert_eq!(write(Framing::Length(100), &[(60, false), (40, true)], 0).1, [105]);
    assert_eq!(write(Framing::Chunked(Vec::new()), &[(60, false), (40, true)], 0).1, [5 + 60 + 6 + 40 + 6 + 5]);
    assert_eq!(write(Framing::Length(65_536), &[(32_768, false), (32_768, true)], 0).1, [32_773, 32_768]);
}

#[test]
fn a_client_that_takes_little_by_little_gets_all_in_order() {
    for room in [1, 7, 1000, 0] {
        let (got, _) = write(Framing::Chunked(Vec::new()), &[(3, false), (20_000, false), (5, false), (20_000, true)], room);
        let x = |count| "x".repeat(count);
        let wanted = format!("head 3\r\n{}\r\n4e20\r\n{}\r\n5\r\n{}\r\n4e20\r\n{}\r\n0\r\n\r\n", x(3), x(20_000), x(5), x(20_000));
        assert!(got == wanted.as_bytes(), "{room} octets at a time");
    }
}

#[test]
fn a_body_is_never_longer_than_its_length_and_a_shorter_one_is_noticed() {
    assert_eq!(write(Framing::Length(3), &[(10, true)], 0).0, b"head xxx");
    let mut writer = Writer::new(Rc::default(), SMALL);
    let mut framing = Framing::Length(3);
    assert!(!writer.put(&mut framing, Bytes::from("xx"), true));
    assert!(!writer.end(&framing, None));
}

/// Says what it has to before it asks for the body.
struct Talker(Rc<State>);

impl Answerer for Talker {
    fn answer(&self, _: RequestHead, body: Inbound) -> Handled {
        let state = Rc::clone(&self.0);
        Handled::Passed(Box::pin(async move {
            let mut hints = Response::new(());
            *hints.status_mut() = StatusCode::EARLY_HINTS;
            hints.headers_mut().insert("link", HeaderValue::from_static("</style.css>; rel=preload"));
            state.inform(&hints);
            let said = body.collect().await.map(|body| body.to_bytes());
            state.inform(&hints);
            state.request_done(instant());
            saying(said.ok())
        }))
    }
}

#[tokio::test]
async fn what_comes_before_the_answer_is_written_in_its_order() {
    let (near, mut far) = tokio::io::duplex(16);
    let (state, buffers) = (Rc::new(State::new(instant())), Rc::<Buffers>::default());
    let reader = Reader::new(LIMITS, Rc::clone(&buffers), End::Final);
    let mut served = Served::new(near, Talker(Rc::clone(&state)), state, reader, Writer::new(buffers, SMALL));
    let talk = async move {
        far.write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            .await
            .unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"100 Continue\r\n\r\n") {
            far.read_buf(&mut seen).await.unwrap();
        }
        far.write_all(b"hi").await.unwrap();
        far.read_to_end(&mut seen).await.unwrap();
        String::from_utf8(seen).unwrap()
    };
    let (over, seen) = tokio::join!(poll_fn(|cx| served.poll(cx)), talk);
    assert!(matches!(over, Over::Ended), "{over:?}");
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n";
    assert!(seen.starts_with(&format!("{hints}HTTP/1.1 100 Continue\r\n\r\n{hints}HTTP/1.1 200 OK\r\n")), "{seen}");
    assert!(seen.ends_with("\r\n\r\nhi"), "{seen}");
}

#[test]
fn a_body_that_nobody_reads_ends_the_connection_unless_it_is_there() {
    /// Answers without a look at the body.
    struct Hasty(Rc<State>);
    impl Answerer for Hasty {
        fn answer(&self, _: RequestHead, _: Inbound) -> Handled {
            self.0.request_done(instant());
            Handled::Answered(Some(saying(None)))
        }
    }
    for (body, goes_on) in [("hello", true), ("hel", false)] {
        let wire = Wire::sending([format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n{body}").into()]).staying();
        let got = Rc::clone(&wire.got);
        let (state, buffers) = (Rc::new(State::new(instant())), Rc::<Buffers>::default());
        let reader = Reader::new(LIMITS, Rc::clone(&buffers), End::Final);
        let mut served = Served::new(wire, Hasty(Rc::clone(&state)), state, reader, Writer::new(buffers, SMALL));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        assert!(served.poll(&mut noop()).is_pending());
        assert_eq!(!String::from_utf8_lossy(&got.borrow()).contains("connection: close"), goes_on, "{body}");
    }
}
