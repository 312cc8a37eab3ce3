//! The framing guard: an I/O wrapper under hyper's HTTP/1 server that lets only unambiguous requests pass.
//!
//! hyper accepts requests on which two servers may disagree (both lengths given, several Hosts, bare line feeds) and hides
//! some of the evidence. The guard looks at the octets before hyper does. What it promises:
//!
//! - hyper sees only whole, checked heads; octets of good requests reach it unchanged and in order, however they were split.
//! - In place of a bad head hyper gets a harmless one that asks to close, and nothing after it; [`FramingState::violation_of`]
//!   tells the handler why. Good requests sent before it are still answered first.
//! - hyper gets one request at a time: until its response has ended (or is 101), what follows is held and not looked at. hyper
//!   looks for the end of the stream only while it has nothing left to read, so a client that leaves is noticed although it has
//!   sent more. At most [`FramingLimits::max_head`] octets are read ahead (or one read of hyper's, if that is more); behind
//!   them, the end is seen when the response has ended.
//! - A bad chunked body ends in a read error ([`io::ErrorKind::InvalidData`]) after the good octets before it.
//! - A head that comes alone and in one read costs one parse and no copy; an idle connection holds no buffer.

mod body;
mod half_closed;
mod head;
mod interim;
mod linger;
mod scan;
mod state;
#[cfg(test)]
mod tests;

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use half_closed::End;
use linger::Linger;
use scan::{Scanner, Standing};
pub use state::{FramingState, Phase};

/// Why a request head was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// 400: the head is malformed or ambiguous; the text says how.
    BadRequest(&'static str),
    /// 414: the request line is too long.
    UriTooLong,
    /// 431: too many fields, or too many octets of them.
    HeadersTooLarge,
}

impl Violation {
    /// A short text for the problem document.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::BadRequest(reason) => reason,
            Self::UriTooLong => "the request line is too long",
            Self::HeadersTooLarge => "the request header fields are too large",
        }
    }
}

/// How large a head may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramingLimits {
    /// Octets of a whole head, with the request line and the empty line at its end; of a trailer section, too.
    pub max_head: usize,
    /// Fields of a head, and of a trailer section; values over 256 count as 256.
    pub max_headers: usize,
    /// Octets of the request target.
    pub max_target: usize,
}

/// What hyper gets in place of a bad head.
const SYNTHETIC_HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: invalid\r\nconnection: close\r\n\r\n";
/// How much is read at a time while octets are held.
const HOLD_STEP: usize = 2048;

/// An HTTP/1 connection whose requests are checked as they are read; what is written passes untouched.
#[derive(Debug)]
pub struct Guarded<IO> {
    io: IO,
    state: Arc<FramingState>,
    scanner: Scanner,
    /// Octets that could not be passed on at once: `held[emitted..approved]` may be; the rest is a part of a head, or waits for
    /// the end of a response.
    held: Vec<u8>,
    emitted: usize,
    approved: usize,
    /// Of what is read.
    end: End,
    /// Once this side has said that it is done.
    linger: Option<Linger>,
}

impl<IO> Guarded<IO> {
    /// Guards `io`; the handler of the same connection reads `state`.
    pub const fn new(io: IO, state: Arc<FramingState>, limits: FramingLimits) -> Self {
        Self { io, state, scanner: Scanner::new(limits), held: Vec::new(), emitted: 0, approved: 0, end: End::Final, linger: None }
    }

    /// A client that ends its side of the connection still gets the answers to what it has asked.
    pub fn tolerating_half_close(mut self) -> Self {
        self.end = End::Tolerated;
        self
    }

    fn emit(&mut self, buf: &mut ReadBuf<'_>) {
        let count = buf.remaining().min(self.approved - self.emitted);
        buf.put_slice(&self.held[self.emitted..self.emitted + count]);
        self.emitted += count;
        if self.emitted < self.approved {
            return;
        }
        if self.approved == self.held.len() {
            self.held = Vec::new();
        } else {
            self.held.drain(..self.approved);
        }
        (self.emitted, self.approved) = (0, 0);
    }

    /// Takes in what the scanner did not approve: what it is to be given again, or what stands for a bad head.
    fn hold(&mut self, rest: &[u8]) {
        match self.scanner.standing() {
            Standing::Refused => {
                self.held.extend_from_slice(SYNTHETIC_HEAD);
                self.approved = self.held.len();
            }
            Standing::Broken(_) => {}
            Standing::Sound | Standing::Upgraded => self.held.extend_from_slice(rest),
        }
    }

    /// Looks at what is held; `false` when nothing has come of it.
    fn scan_held(&mut self) -> bool {
        let before = self.approved;
        self.approved += self.scanner.scan(&self.held[before..], &self.state);
        match self.scanner.standing() {
            Standing::Refused | Standing::Broken(_) => {
                self.held.truncate(self.approved);
                self.hold(&[]);
                true
            }
            Standing::Sound | Standing::Upgraded => self.approved > before,
        }
    }
}

impl<IO: AsyncRead + Unpin> Guarded<IO> {
    /// Reads more of a head that is held back, or `ahead` what follows a request in flight; `false` at the end of the stream.
    fn poll_extend(&mut self, cx: &mut Context<'_>, ahead: Option<usize>) -> Poll<io::Result<bool>> {
        let Some(most) = ahead else { return self.poll_more(cx, HOLD_STEP) };
        let outcome = match most.saturating_sub(self.held.len()) {
            0 => Poll::Pending,
            room => self.poll_more(cx, room.min(HOLD_STEP)),
        };
        if outcome.is_ready() {
            return outcome;
        }
        // hyper relies on being woken; for what is held already, no octet will come that does it.
        self.state.poll_not_in_flight(cx).map(|()| Ok(true))
    }

    fn poll_more(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<bool>> {
        let before = self.held.len();
        self.held.resize(before + most, 0);
        let mut room = ReadBuf::new(&mut self.held[before..]);
        let outcome = Pin::new(&mut self.io).poll_read(cx, &mut room);
        let count = room.filled().len();
        self.held.truncate(before + count);
        ready!(outcome)?;
        Poll::Ready(Ok(count > 0))
    }

    /// Throws away what comes after a bad head; ready when the client has closed. A client that sends without end is stopped
    /// by the runtime's budget for one turn.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = [const { MaybeUninit::uninit() }; 4096];
        loop {
            let mut sink = ReadBuf::uninit(&mut scratch);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut sink))?;
            if sink.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// After the end of the stream: ready (`true`) when the response under way has ended, so that what is held may have its
    /// turn, and (`false`) when nobody is left to answer.
    fn poll_last(&mut self, cx: &mut Context<'_>, waits: bool) -> Poll<bool> {
        if !waits {
            return Poll::Ready(false);
        }
        if self.state.poll_not_in_flight(cx).is_ready() {
            return Poll::Ready(true);
        }
        self.end.poll_gone(cx).map(|()| false)
    }

    /// Reads into hyper's own buffer and looks at the octets there; `false` when none of them may pass yet.
    fn poll_direct(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let fresh = &buf.filled()[before..];
        if fresh.is_empty() {
            // A request whose end is missing has no answer.
            let waits = self.scanner.read_ahead(&self.state).is_some();
            return Poll::Ready(Ok(!(waits && self.end.come())));
        }
        let approved = self.scanner.scan(fresh, &self.state);
        if approved < fresh.len() {
            self.hold(&fresh[approved..]);
            buf.set_filled(before + approved);
        }
        Poll::Ready(Ok(approved > 0))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Guarded<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if this.emitted < this.approved {
                this.emit(buf);
                return Poll::Ready(Ok(()));
            }
            match this.scanner.standing() {
                // Not the end of the stream, unless the client has gone: hyper drops an answer that is under way when it
                // reads that. The head in place of the bad one makes it close by itself.
                Standing::Refused => return this.poll_gone(cx),
                Standing::Broken(reason) => return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, reason))),
                Standing::Sound | Standing::Upgraded => {}
            }
            if this.end.has_come() {
                let waits = this.scanner.read_ahead(&this.state).is_some();
                if !(this.scan_held() || ready!(this.poll_last(cx, waits))) {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            if this.held.is_empty() {
                if ready!(this.poll_direct(cx, buf))? {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            // Asked before the scan: a response that ends after it is noticed by the wait.
            let ahead = this.scanner.read_ahead(&this.state);
            let goes_on = this.scan_held() || ready!(this.poll_extend(cx, ahead))? || (ahead.is_some() && this.end.come());
            if !goes_on {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<IO: AsyncWrite + Unpin> Guarded<IO> {
    /// Writes the interim responses that wait.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, state, .. } = self;
        state.interim().poll_write(|octets| Pin::new(&mut *io).poll_write(cx, octets))
    }

    /// Whatever hyper has to say, such as its own 100, waits for the rest of an interim response of which a part has gone out.
    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.interim().has_begun() { self.poll_interim(cx) } else { Poll::Ready(Ok(())) }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_begun(cx))?;
        this.end.lives();
        Pin::new(&mut this.io).poll_write(cx, buf)
    }

    /// hyper flushes when it has nothing left to write: the place of interim responses.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.state.interim().waits() {
            ready!(this.poll_interim(cx))?;
        }
        Pin::new(&mut this.io).poll_flush(cx)
    }

    /// Shuts down, and is done when the socket can be closed without harm to the last answer.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let linger = match &mut this.linger {
            Some(linger) => linger,
            None => {
                ready!(this.poll_begun(cx))?;
                ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
                this.linger.insert(Linger::new(this.scanner.expects_more(&this.held)))
            }
        };
        linger.poll(&mut this.io, cx).map(Ok)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_begun(cx))?;
        this.end.lives();
        Pin::new(&mut this.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
