//! The reading half of a connection: heads, bodies, and what comes ahead.
//!
//! What it promises:
//!
//! - one request at a time: until its response has ended, what follows is held and not looked at. At most
//!   [`FramingLimits::max_head`] octets are read ahead (or one buffer, if that is more), so that a client that leaves is noticed
//!   at once although it has sent more; behind them, and within a body that nobody wants yet, within a second;
//! - a bad chunked body ends in an error after the good octets before it;
//! - while nothing is there no buffer is held, and a small one while there is little.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body::Frame;
use tokio::io::AsyncRead;
use tokio::time::{Sleep, sleep};
use tokio_util::io::poll_read_buf;

use super::CHUNK;
use super::buffers::Buffers;
use super::half_closed::End;
use super::state::State;
use crate::proxy::framing::{Chunked, Framing, FramingLimits, Head, Judged, Violation, judge};
use crate::proxy::sight::{Sight, Sighted};

/// A head that is larger than this is judged no more at the end of each of its lines, which would take a time that grows with
/// its square.
const LARGE: usize = 16 * 1024;
/// What waits for more lies in a buffer of its own if it is no larger.
const SMALL: usize = 4096;
/// How often a client of which nothing is read is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Up to this many octets of a body are copied out of the buffer; more take a part of the buffer itself with them.
const MAX_COPY: usize = 4096;

/// What is next between two requests.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
pub(super) enum Next {
    /// A good request.
    Request(Head),
    /// A bad one; nothing after it is looked at.
    Refused(Violation),
    /// Nothing.
    End,
}

/// A piece of a body, out of what was read.
#[derive(Debug)]
pub(super) enum Piece {
    /// A part of it, and whether it is the last.
    Frame(Frame<Bytes>, bool),
    /// Its end.
    End,
    /// It breaks its framing.
    Broken(&'static str),
    /// More has to be read.
    More,
}

#[derive(Debug)]
enum At {
    Head,
    /// Octets of a body of known length that are still to come.
    Length(u64),
    Chunked(Box<Chunked>),
    /// A head asked for a WebSocket; what follows is not HTTP and is not looked at.
    Upgraded,
    /// What follows is of no use: a head was refused, or a body broke off or is not wanted.
    Lost,
}

/// The place in the stream of requests.
#[derive(Debug)]
pub(super) struct Reader {
    limits: FramingLimits,
    buffers: Rc<Buffers>,
    octets: BytesMut,
    at: At,
    /// Octets of the current head that were already judged to be only a part.
    judged: usize,
    /// Octets of the current head in which its end was looked for.
    searched: usize,
    end: End,
    /// Until the next look at a client of which nothing is read.
    look: Option<Pin<Box<Sleep>>>,
}

impl Reader {
    /// At the start of a connection; `end` says what its end will mean.
    pub(super) fn new(limits: FramingLimits, buffers: Rc<Buffers>, end: End) -> Self {
        Self { limits, buffers, octets: BytesMut::new(), at: At::Head, judged: 0, searched: 0, end, look: None }
    }

    /// The next request, once there is no other under way.
    pub(super) fn poll_next(&mut self, io: &mut (impl AsyncRead + Unpin), cx: &mut Context<'_>, state: &State) -> Poll<io::Result<Next>> {
        loop {
            if !self.octets.is_empty() && self.is_worth_judging() {
                match judge(&self.octets, &self.limits) {
                    Judged::Complete(head) => {
                        self.pass(head.len, head.framing);
                        return Poll::Ready(Ok(Next::Request(head)));
                    }
                    Judged::Bad(violation) => {
                        self.at = At::Lost;
                        return Poll::Ready(Ok(Next::Refused(violation)));
                    }
                    Judged::Partial => self.judged = self.octets.len(),
                }
            }
            if self.end.has_come() {
                return Poll::Ready(Ok(Next::End));
            }
            match self.poll_fill(io, cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Next::End)),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    if !self.octets.is_empty() {
                        state.head_held_back();
                    }
                    self.rest();
                    return Poll::Pending;
                }
            }
        }
    }

    fn pass(&mut self, octets: usize, framing: Framing) {
        self.octets.advance(octets);
        (self.judged, self.searched) = (0, 0);
        self.at = match framing {
            Framing::Length(0) => At::Head,
            Framing::Length(length) => At::Length(length),
            Framing::Chunked => At::Chunked(Box::default()),
            Framing::Upgrade => At::Upgraded,
        };
    }

    /// A head that trickles in is parsed again only when it has grown by half, has reached the limit, or a line has ended; the
    /// empty line, where it is large. So its cost stays near to linear.
    fn is_worth_judging(&mut self) -> bool {
        let octets = &self.octets[..];
        let is_large = octets.len() > LARGE;
        // The empty line may begin in what was searched.
        let fresh = octets.get(self.searched.saturating_sub(if is_large { 2 } else { 0 })..).unwrap_or(octets);
        let ends = if is_large { ends_in_empty_line(fresh) } else { fresh.contains(&b'\n') };
        self.searched = octets.len();
        ends || octets.len() >= self.limits.max_head || octets.len() - self.judged.min(octets.len()) > self.judged / 2
    }

    /// The next piece of the body, as far as it was read. To be asked for while there is a body.
    pub(super) fn piece(&mut self) -> Piece {
        let (count, is_last) = match &mut self.at {
            At::Length(left) => {
                let count = self.octets.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= count as u64;
                (count, *left == 0)
            }
            At::Chunked(_) => return self.chunk(),
            At::Head | At::Upgraded | At::Lost => return Piece::End,
        };
        if is_last {
            self.at = At::Head;
        }
        if count == 0 { Piece::More } else { Piece::Frame(Frame::data(self.take(count)), is_last) }
    }

    fn chunk(&mut self) -> Piece {
        if let Err(reason) = self.pass_framing() {
            return self.broken(reason);
        }
        let At::Chunked(chunked) = &mut self.at else { return Piece::End };
        if chunked.has_ended() {
            let trailers = chunked.take_trailers();
            self.at = At::Head;
            return trailers.map_or(Piece::End, |trailers| Piece::Frame(Frame::trailers(trailers), true));
        }
        let count = chunked.take_data(self.octets.len());
        if count == 0 {
            return Piece::More;
        }
        let data = self.take(count);
        // What is wrong behind it is found once more when its turn has come.
        let is_last = self.pass_framing().is_ok() && self.has_ended_without_trailers();
        if is_last {
            self.at = At::Head;
        }
        Piece::Frame(Frame::data(data), is_last)
    }

    fn pass_framing(&mut self) -> Result<(), &'static str> {
        let At::Chunked(chunked) = &mut self.at else { return Ok(()) };
        let (count, outcome) = chunked.pass_framing(&self.octets, &self.limits);
        self.octets.advance(count);
        outcome
    }

    fn has_ended_without_trailers(&self) -> bool {
        matches!(&self.at, At::Chunked(chunked) if chunked.has_ended() && !chunked.has_trailers())
    }

    fn broken(&mut self, reason: &'static str) -> Piece {
        self.lose();
        Piece::Broken(reason)
    }

    fn take(&mut self, count: usize) -> Bytes {
        if count > MAX_COPY {
            return self.octets.split_to(count).freeze();
        }
        let piece = Bytes::copy_from_slice(&self.octets[..count]);
        self.octets.advance(count);
        piece
    }

    /// Reads more; 0 is the end of the stream.
    pub(super) fn poll_fill(&mut self, io: &mut (impl AsyncRead + Unpin), cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.make_room();
        poll_read_buf(Pin::new(io), cx, &mut self.octets)
    }

    fn make_room(&mut self) {
        let held = self.octets.len();
        if held == 0 {
            // Pieces of the body may still lie in it.
            if self.octets.capacity() < CHUNK && !self.octets.try_reclaim(CHUNK) {
                self.octets = self.buffers.lend_read();
            }
        } else if self.octets.capacity() - held < CHUNK / 8 {
            let mut larger = if held <= CHUNK / 2 { self.buffers.lend_read() } else { BytesMut::with_capacity(2 * held) };
            larger.extend_from_slice(&self.octets);
            self.buffers.take_read(std::mem::replace(&mut self.octets, larger));
        }
    }

    /// Nothing more is to be had just now: lets go of the buffer.
    pub(super) fn rest(&mut self) {
        if self.octets.is_empty() {
            self.buffers.take_read(std::mem::take(&mut self.octets));
        } else if self.octets.len() <= SMALL && self.octets.capacity() > 2 * SMALL {
            let few = BytesMut::from(&self.octets[..]);
            self.buffers.take_read(std::mem::replace(&mut self.octets, few));
        }
    }

    /// While a response is under way and its request has come: reads ahead, and is ready when nobody is left to answer.
    pub(super) fn poll_gone(&mut self, io: &mut (impl AsyncRead + Sighted + Unpin), cx: &mut Context<'_>) -> Poll<io::Error> {
        if !matches!(self.at, At::Head | At::Upgraded) {
            return self.poll_left(io, cx);
        }
        while !self.end.has_come() && self.octets.len() < self.limits.max_head {
            match self.poll_fill(io, cx) {
                Poll::Ready(Ok(0)) if self.end.come() => {}
                Poll::Ready(Ok(0)) => return Poll::Ready(io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Pending => {
                    self.rest();
                    return Poll::Pending;
                }
            }
        }
        self.poll_left(io, cx)
    }

    /// Likewise, while nothing is read: the client is looked at now and then.
    pub(super) fn poll_left(&mut self, io: &impl Sighted, cx: &mut Context<'_>) -> Poll<io::Error> {
        while !self.end.has_come() {
            ready!(self.look.get_or_insert_with(|| Box::pin(sleep(LOOK_EVERY))).as_mut().poll(cx));
            self.look = None;
            match io.look() {
                Sight::Here => {}
                Sight::Ended if self.end.come() => {}
                Sight::Ended => return Poll::Ready(io::ErrorKind::UnexpectedEof.into()),
                Sight::Gone => return Poll::Ready(io::ErrorKind::ConnectionReset.into()),
            }
        }
        ready!(self.end.poll_gone(cx));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// Throws away what was read of the body; false where that is not all of it.
    pub(super) fn skip_body(&mut self) -> bool {
        loop {
            match self.piece() {
                Piece::Frame(_, false) => {}
                Piece::Frame(_, true) | Piece::End => return matches!(self.at, At::Head),
                Piece::More | Piece::Broken(_) => return false,
            }
        }
    }

    /// Something is written.
    pub(super) fn lives(&mut self) {
        self.end.lives();
    }

    /// Nothing more is taken off the stream.
    pub(super) fn lose(&mut self) {
        self.at = At::Lost;
        self.octets.clear();
        self.rest();
    }

    /// Whether there can be another request.
    pub(super) const fn is_at_head(&self) -> bool {
        matches!(self.at, At::Head)
    }

    /// Whether the client may be sending what nobody will read: the rest of a body, what follows a bad request, or a request
    /// that nobody has looked at.
    pub(super) fn expects_more(&self) -> bool {
        match self.at {
            At::Head => self.judged == 0 && !self.octets.is_empty(),
            At::Upgraded => false,
            At::Length(_) | At::Chunked(_) | At::Lost => true,
        }
    }

    /// Octets that are held, and the room for them.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        (self.octets.len(), self.octets.capacity())
    }

    /// What came ahead of a 101.
    pub(super) fn take_rest(&mut self) -> BytesMut {
        self.rest();
        std::mem::take(&mut self.octets)
    }
}

/// Whether a line of `octets` ends in front of an empty one.
fn ends_in_empty_line(octets: &[u8]) -> bool {
    octets.windows(2).any(|pair| pair == b"\n\n") || octets.windows(3).any(|three| three == b"\n\r\n")
}
