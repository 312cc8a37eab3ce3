//! The guarantees of a connection: the verdict for every kind of ambiguous request, in every split, and what is told to whom
//! when.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod ahead;
mod answers;
mod large;
mod splits;
mod uploads;
mod verdicts;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::half_closed::End;
use super::reader::{Next, Piece, Reader};
use super::served::{Answerer, Over, Served};
use super::writer::{SMALL, Writer};
use super::*;
use crate::clock::instant;
use crate::message::{Fields, RequestHead};
use crate::proxy::Handled;
use crate::proxy::answer::Answer;
use crate::proxy::body::AnswerBody;
use crate::proxy::framing::{FramingLimits, Violation};
use crate::proxy::hold::Holds;
use crate::proxy::inbound::Inbound;
use crate::proxy::sight::{Sight, Sighted};

const LIMITS: FramingLimits = FramingLimits { max_head: 1024, max_headers: 8, max_target: 128 };

/// Requests that are good as they are, one after the other.
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

/// A client of which the test says what it sends, one piece a read, and that keeps what it gets.
#[derive(Default)]
struct Wire {
    sends: VecDeque<Vec<u8>>,
    /// It stays when it has sent all.
    stays: bool,
    got: Rc<RefCell<Vec<u8>>>,
    /// How much of each call was taken.
    calls: Rc<RefCell<Vec<usize>>>,
    /// What it takes at a time; 0 means all.
    room: usize,
}

impl Wire {
    fn sending(pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { sends: pieces.into_iter().filter(|piece| !piece.is_empty()).collect(), ..Self::default() }
    }

    fn staying(self) -> Self {
        Self { stays: true, ..self }
    }
}

impl Holds for Wire {}

impl Sighted for Wire {
    fn look(&self) -> Sight {
        Sight::Here
    }
}

impl Holds for tokio::io::DuplexStream {}

impl Holds for tokio::net::TcpStream {}

impl Sighted for tokio::io::DuplexStream {
    fn look(&self) -> Sight {
        Sight::Here
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.sends.pop_front() {
            Some(mut piece) => {
                let rest = piece.split_off(piece.len().min(buf.remaining()));
                buf.put_slice(&piece);
                if !rest.is_empty() {
                    self.sends.push_front(rest);
                }
                Poll::Ready(Ok(()))
            }
            None if self.stays => Poll::Pending,
            None => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(self: Pin<&mut Self>, _: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let room = if self.room == 0 { usize::MAX } else { self.room };
        let octets: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).take(room).collect();
        self.got.borrow_mut().extend_from_slice(&octets);
        self.calls.borrow_mut().push(octets.len());
        Poll::Ready(Ok(octets.len()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn reader(limits: FramingLimits) -> Reader {
    Reader::new(limits, Rc::default(), End::Final)
}

/// Answers when it may with what it was asked.
#[derive(Clone, Default)]
struct Desk {
    state: Option<Rc<State>>,
    /// The requests whose heads, and (with what they brought) those whose bodies have come.
    asked: Rc<RefCell<Vec<String>>>,
    read: Rc<RefCell<Vec<String>>>,
    /// How many may be answered.
    answers: Rc<Cell<usize>>,
}

impl Desk {
    async fn answer(self, head: RequestHead, body: Inbound) -> Answer {
        let state = self.state.unwrap();
        let number = self.asked.borrow().len();
        let (path, violation) = (head.uri.path().to_owned(), state.violation());
        self.asked.borrow_mut().push(path.clone());
        let text = match (violation, body.collect().await) {
            (Some(violation), _) => format!("<{number} refused: {violation:?}>"),
            (None, Ok(body)) => format!("<{number} {path} {:?}>", body.to_bytes()),
            (None, Err(error)) => format!("<{number} {path} broken: {error}>"),
        };
        self.read.borrow_mut().push(text.clone());
        poll_fn(|_| if self.answers.get() > number { Poll::Ready(()) } else { Poll::Pending }).await;
        state.request_done(instant());
        saying(Some(Bytes::from(text)))
    }
}

/// 200, and a body.
fn saying(body: Option<Bytes>) -> Answer {
    Answer { status: StatusCode::OK, reason: None, fields: Fields::new(), body: AnswerBody::Own(body) }
}

impl Answerer for Desk {
    fn answer(&self, head: RequestHead, body: Inbound) -> Handled {
        Handled::Passed(Box::pin(self.clone().answer(head, body)))
    }
}

/// A connection, and what is behind it.
struct Stand<IO> {
    served: Served<IO, Desk>,
    desk: Desk,
    state: Rc<State>,
    buffers: Rc<Buffers>,
}

impl<IO: AsyncRead + AsyncWrite + Sighted + Holds + Unpin> Stand<IO> {
    fn new(io: IO, end: End) -> Self {
        let state = Rc::new(State::new(instant()));
        let buffers = Rc::<Buffers>::default();
        let desk = Desk { state: Some(Rc::clone(&state)), ..Desk::default() };
        let reader = Reader::new(LIMITS, Rc::clone(&buffers), end);
        let served = Served::new(io, desk.clone(), Rc::clone(&state), reader, Writer::new(Rc::clone(&buffers), SMALL));
        Self { served, desk, state, buffers }
    }

    fn poll(&mut self) -> Poll<Over> {
        self.served.poll(&mut noop())
    }

    /// One more request may be answered.
    fn answer_one(&self) {
        self.desk.answers.set(self.desk.answers.get() + 1);
    }
}

/// Serves one connection, each request at once; what the client gets for `stream`.
async fn serve(stream: &[u8]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let mut stand = Stand::new(server, End::Final);
    stand.desk.answers.set(usize::MAX);
    // The client closes when it has read the end, so that the server need not wait whether more comes.
    let talk = async move {
        let mut answer = String::new();
        client.write_all(stream).await.unwrap();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (_, answer) = tokio::join!(poll_fn(|cx| stand.served.poll(cx)), talk);
    answer.split_inclusive('>').filter_map(|part| part.find('<').map(|at| &part[at..])).collect()
}

#[tokio::test]
async fn good_requests_are_answered_before_a_bad_one() {
    let good = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let bad =
        "POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /d HTTP/1.1\r\nHost: a\r\n\r\n";
    let stream = format!("{good}GET /b HTTP/1.1\r\nHost: a\r\n\r\n{bad}");
    let refused = "<2 refused: BadRequest(\"Transfer-Encoding together with Content-Length\")>";
    assert_eq!(serve(stream.as_bytes()).await, format!("<0 /a b\"hi\"><1 /b b\"\">{refused}"));
}

#[tokio::test]
async fn a_broken_body_is_answered_and_ends_the_connection() {
    let stream = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(serve(stream.as_bytes()).await, "<0 /a broken: bad end of a chunk>");
}

#[tokio::test]
async fn every_good_head_is_served() {
    for good in GOOD {
        let stream = format!("{good}GET / HTTP/1.1\r\n\r\n");
        let answer = serve(stream.as_bytes()).await;
        let closes = good.contains("HTTP/1.0");
        assert!(answer.starts_with("<0 ") && !answer.starts_with("<0 refused"), "{answer} for {good:?}");
        assert!(closes || answer.ends_with("<1 refused: BadRequest(\"no Host\")>"), "{answer} for {good:?}");
    }
}

#[tokio::test]
async fn many_requests_sent_at_once_are_answered_in_their_order() {
    let stream: String = (0..1000).map(|at| format!("GET /{at} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    let answers = serve(format!("{stream}GET / HTTP/1.1\r\n\r\n").as_bytes()).await;
    let wanted: String = (0..1000).map(|at| format!("<{at} /{at} b\"\">")).collect();
    assert_eq!(answers, format!("{wanted}<1000 refused: BadRequest(\"no Host\")>"));
}

#[test]
fn phases_follow_the_connection() {
    let started = instant();
    let state = State::new(started);
    assert_eq!(state.phase(), Phase::ReadingHead { since_ms: 0 });
    state.head_passed(false);
    assert_eq!((state.phase(), state.asked_for_websocket()), (Phase::InRequest, false));
    state.request_done(started + std::time::Duration::from_millis(7));
    assert_eq!(state.phase(), Phase::Idle { since_ms: 7 });
    state.head_held_back();
    assert!(matches!(state.phase(), Phase::ReadingHead { since_ms: 7.. }));
    state.head_passed(true);
    assert_eq!((state.phase(), state.asked_for_websocket()), (Phase::InRequest, true));
}
