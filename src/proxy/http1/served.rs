//! One HTTP/1.1 connection as a state machine: a request is read, handled and answered, and then the next.
//!
//! What it promises: a client that leaves takes its request with it; the end of an answer that was cut short never looks like
//! its own; after an answer that is the last, the connection ends in such a way that the client can read it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use http::{Method, StatusCode, Version};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};

use super::linger::Linger;
use super::reader::{Next, Piece, Reader};
use super::response::{self, Asked, Length, Written, write_head};
use super::state::State;
use super::upgraded::Upgraded;
use super::upload::{Intake, Upload};
use super::writer::Writer;
use crate::message::RequestHead;
use crate::proxy::Handled;
use crate::proxy::answer::Answer;
use crate::proxy::body::AnswerBody;
use crate::proxy::framing::{Framing, Head};
use crate::proxy::hold::Holds;
use crate::proxy::inbound::{Inbound, InboundError};
use crate::proxy::sight::Sighted;

/// Whoever answers requests.
pub(super) trait Answerer {
    /// Begins with one.
    fn answer(&self, head: RequestHead, body: Inbound) -> Handled;
}

/// How a connection ends.
#[derive(Debug)]
pub(super) enum Over {
    /// In order.
    Ended,
    /// It speaks another protocol now.
    Switched,
    /// The client is gone, or an answer was cut short: nothing more may be said.
    Broken(io::Error),
}

/// A connection.
pub(super) struct Served<IO, A> {
    io: IO,
    answerer: A,
    state: Rc<State>,
    reader: Reader,
    writer: Writer,
    turn: Turn,
    /// The body of the request under way, while there is more of it to read.
    intake: Option<Intake>,
    asked: Asked,
    draining: bool,
}

enum Turn {
    /// Between two requests; the end of the last answer may be still to be written.
    Idle,
    Handling(Handled),
    Answering(AnswerBody, Written),
    /// The 101 is written.
    Switching,
    /// What there is of an answer that was cut short is written.
    Cut,
    /// The last answer is written.
    Last,
    /// The end is said.
    Ending,
    Lingering(Linger),
}

impl<IO, A> Served<IO, A>
where
    IO: AsyncRead + AsyncWrite + Sighted + Holds + Unpin,
    A: Answerer,
{
    pub(super) const fn new(io: IO, answerer: A, state: Rc<State>, reader: Reader, writer: Writer) -> Self {
        let asked = Asked { is_head: false, is_http_10: false, keeps_alive: false, takes_trailers: false };
        Self { io, answerer, state, reader, writer, turn: Turn::Idle, intake: None, asked, draining: false }
    }

    #[cfg(test)]
    pub(super) const fn reader(&mut self) -> &mut Reader {
        &mut self.reader
    }

    /// Finishes what is under way and takes nothing new.
    pub(super) fn drain(&mut self) {
        self.draining = true;
        if matches!(self.turn, Turn::Idle) {
            self.turn = Turn::Last;
        }
    }

    /// Ready at the end of the connection.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        self.state.is_polled_by(cx.waker());
        loop {
            let over = match &mut self.turn {
                Turn::Idle => self.poll_request(cx),
                Turn::Handling(_) => self.poll_handling(cx),
                Turn::Answering(..) => self.poll_answering(cx),
                Turn::Switching => self.poll_written(cx).map_ok(|()| Some(Over::Switched)),
                Turn::Cut => self.poll_written(cx).map(|_| Err(io::Error::other("an answer was cut short"))),
                Turn::Last => self.poll_last(cx),
                Turn::Ending => Pin::new(&mut self.io)
                    .poll_shutdown(cx)
                    .map_ok(|()| self.then(Turn::Lingering(Linger::new(self.reader.expects_more())))),
                Turn::Lingering(linger) => linger.poll(&mut self.io, cx).map(|()| Ok(Some(Over::Ended))),
            };
            match ready!(over) {
                Ok(None) => {}
                Ok(Some(over)) => return Poll::Ready(over),
                Err(error) => return Poll::Ready(Over::Broken(error)),
            }
        }
    }

    fn then(&mut self, turn: Turn) -> Option<Over> {
        self.turn = turn;
        None
    }

    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, reader, writer, .. } = self;
        writer.poll_flush(io, cx, || reader.lives())
    }

    /// Nothing follows the last answer but the end, which goes out with it.
    fn poll_last(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.io.hold();
        self.poll_written(cx).map_ok(|()| self.then(Turn::Ending))
    }

    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        ready!(self.poll_written(cx))?;
        match ready!(self.reader.poll_next(&mut self.io, cx, &self.state))? {
            Next::Request(head) => self.begin(cx, head),
            Next::Refused(violation) => {
                self.state.head_refused(violation);
                self.asked = Asked::default();
                // Nothing of the bad head is to be believed.
                self.turn = Turn::Handling(self.answerer.answer(RequestHead::default(), Inbound::None));
            }
            Next::End => self.turn = Turn::Last,
        }
        Poll::Ready(Ok(None))
    }

    fn begin(&mut self, cx: &mut Context<'_>, head: Head) {
        let Head { request, framing, keeps_alive, expects_continue, takes_trailers, .. } = head;
        self.asked =
            Asked { is_head: request.method == Method::HEAD, is_http_10: request.version == Version::HTTP_10, keeps_alive, takes_trailers };
        self.state.head_passed(framing == Framing::Upgrade);
        let length = match framing {
            Framing::Length(0) | Framing::Upgrade => {
                self.turn = Turn::Handling(self.answerer.answer(request, Inbound::None));
                return;
            }
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        let (upload, intake) = Upload::new(length, expects_continue, &self.state);
        self.intake = Some(intake);
        if !expects_continue {
            // What has come with the head.
            self.hand_on(cx);
        }
        self.turn = Turn::Handling(self.answerer.answer(request, Inbound::Http1(upload)));
    }

    fn poll_handling(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        loop {
            let Turn::Handling(handling) = &mut self.turn else { return Poll::Ready(Ok(None)) };
            if let Poll::Ready(answer) = self.state.within(|| Pin::new(handling).poll(cx)) {
                self.answer(cx, answer);
                return Poll::Ready(Ok(None));
            }
            if self.state.has_interim() {
                self.state.move_interim(self.writer.out());
            }
            if !self.writer.is_empty()
                && let Poll::Ready(outcome) = self.poll_written(cx)
            {
                outcome?;
            }
            if !self.feed(cx)? {
                return Poll::Pending;
            }
        }
    }

    /// The head of the answer is there.
    fn answer(&mut self, cx: &mut Context<'_>, answer: Answer) {
        self.leave_body_if_unwanted(cx);
        let mut asked = self.asked;
        // Where a body is still to come, its end decides.
        asked.keeps_alive &= !self.draining && (self.intake.is_some() || self.reader.is_at_head());
        let length = if answer.body.is_end_stream() { Some(0) } else { answer.body.size_hint().exact() };
        let out = self.writer.out();
        self.state.move_interim(out);
        self.state.end_interim();
        let written = write_head(&answer, length.map_or(Length::Unknown, Length::Known), asked, out);
        if answer.status == StatusCode::SWITCHING_PROTOCOLS {
            self.turn = Turn::Switching;
        } else {
            self.turn = Turn::Answering(answer.body, written);
        }
    }

    fn poll_answering(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        loop {
            let waits = match self.gather(cx) {
                Poll::Ready(Gathered::Full) => false,
                Poll::Ready(Gathered::End) => {
                    self.end_answer(cx);
                    return Poll::Ready(Ok(None));
                }
                Poll::Ready(Gathered::Cut) => {
                    self.state.within(|| self.turn = Turn::Cut);
                    return Poll::Ready(Ok(None));
                }
                Poll::Pending => true,
            };
            let is_written = match self.poll_written(cx) {
                Poll::Ready(outcome) => outcome.map(|()| true)?,
                Poll::Pending => false,
            };
            if is_written && !waits {
                continue;
            }
            if !is_written && !self.drive_request(cx) {
                self.turn = Turn::Cut;
                return Poll::Ready(Ok(None));
            }
            if !self.feed(cx)? {
                return Poll::Pending;
            }
        }
    }

    /// Takes as much of the answer as there is room for; pending while it has nothing.
    fn gather(&mut self, cx: &mut Context<'_>) -> Poll<Gathered> {
        let Self { turn: Turn::Answering(body, Written { framing, .. }), writer, state, .. } = self else {
            return Poll::Ready(Gathered::End);
        };
        // What is behind the last octet is of no use.
        if *framing == response::Framing::Length(0) {
            return Poll::Ready(Gathered::End);
        }
        while writer.has_room() {
            let frame = match ready!(state.within(|| Pin::new(&mut *body).poll_frame(cx))) {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Poll::Ready(Gathered::Cut),
                None => return Poll::Ready(if writer.end(framing, None) { Gathered::End } else { Gathered::Cut }),
            };
            match frame.into_data() {
                Ok(data) => {
                    if writer.put(framing, data, body.is_end_stream()) {
                        return Poll::Ready(Gathered::End);
                    }
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        return Poll::Ready(if writer.end(framing, Some(&trailers)) { Gathered::End } else { Gathered::Cut });
                    }
                }
            }
        }
        Poll::Ready(Gathered::Full)
    }

    /// A client that does not take may send all the same. False where that has failed, and the answer with it.
    fn drive_request(&mut self, cx: &mut Context<'_>) -> bool {
        let Self { turn: Turn::Answering(body, _), state, .. } = self else { return true };
        state.within(|| body.drive_request(cx)).is_ok()
    }

    fn end_answer(&mut self, cx: &mut Context<'_>) {
        let Self { turn, state, .. } = self;
        let ended = state.within(|| std::mem::replace(turn, Turn::Last));
        self.leave_body_if_unwanted(cx);
        let closes = matches!(ended, Turn::Answering(_, Written { closes: true, .. }));
        if !closes && !self.draining && self.intake.is_none() && self.reader.is_at_head() {
            self.turn = Turn::Idle;
        }
    }

    /// Reads for whoever waits for the body, or looks whether the client is still there. True when the body has moved.
    fn feed(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        self.leave_body_if_unwanted(cx);
        let Some(intake) = &self.intake else {
            return match self.reader.poll_gone(&mut self.io, cx) {
                Poll::Ready(error) => Err(error),
                Poll::Pending => Ok(false),
            };
        };
        if !intake.is_wanted() {
            return match self.reader.poll_left(&self.io, cx) {
                Poll::Ready(error) => Err(error),
                Poll::Pending => Ok(false),
            };
        }
        loop {
            if self.hand_on(cx) {
                return Ok(true);
            }
            let failed = match self.reader.poll_fill(&mut self.io, cx) {
                Poll::Ready(Ok(0)) => io::ErrorKind::UnexpectedEof.into(),
                Poll::Ready(Ok(_)) => continue,
                Poll::Ready(Err(error)) => error,
                Poll::Pending => {
                    self.reader.rest();
                    return Ok(false);
                }
            };
            self.reader.lose();
            if let Some(intake) = self.intake.take() {
                intake.put(cx, Some(Err(InboundError::Http1(failed))), true);
            }
            return Ok(true);
        }
    }

    /// Hands on what was read of the body; false where there is nothing.
    fn hand_on(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(intake) = &self.intake else { return false };
        let (next, ended) = match self.reader.piece() {
            Piece::Frame(frame, is_last) => (Some(Ok(frame)), is_last),
            Piece::End => (None, true),
            Piece::Broken(reason) => (Some(Err(InboundError::Malformed(reason))), true),
            Piece::More => return false,
        };
        intake.put(cx, next, ended);
        if ended {
            self.intake = None;
        }
        true
    }

    /// Nobody wants the rest of the body: the connection goes on if that is there already, or is had with one read.
    fn leave_body_if_unwanted(&mut self, cx: &mut Context<'_>) {
        if self.intake.take_if(|intake| intake.is_left()).is_none() {
            return;
        }
        if !self.reader.skip_body() {
            let read = self.reader.poll_fill(&mut self.io, cx);
            if !(matches!(read, Poll::Ready(Ok(1..))) && self.reader.skip_body()) {
                self.reader.lose();
            }
        }
    }
}

type Outcome = io::Result<Option<Over>>;

enum Gathered {
    /// No more has room.
    Full,
    /// All of the answer.
    End,
    /// There is no more, but it is not whole.
    Cut,
}

impl<IO: AsyncRead + AsyncWrite + 'static, A> Served<IO, A> {
    /// What the connection is after [`Over::Switched`].
    pub(super) fn into_upgraded(mut self) -> Upgraded {
        Upgraded::new(self.io, self.reader.take_rest())
    }
}
