//! The writing half of a connection: what is small is gathered in one buffer and goes out in one call; a large piece goes out
//! behind it as it is.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use tokio::io::AsyncWrite;

use super::buffers::Buffers;
use super::response::{Framing, write_last_chunk};
use crate::message::write_chunk_size;

/// Up to this size a piece is gathered: a copy costs less than a system call with several parts.
pub(super) const SMALL: usize = 16 * 1024;
/// Likewise over TLS, which copies what it encrypts anyhow.
pub(super) const SMALL_OVER_TLS: usize = 2 * 1024;

/// What is to be written.
#[derive(Debug)]
pub(super) struct Writer {
    buffers: Rc<Buffers>,
    small: usize,
    gathered: Vec<u8>,
    /// Octets of it that are written.
    written: usize,
    /// Behind that.
    large: Bytes,
    /// And behind that.
    tail: &'static [u8],
    /// Whether everything written has left the TLS layer.
    is_flushed: bool,
}

impl Writer {
    /// With nothing to write. Pieces of up to `small` octets are gathered.
    pub(super) const fn new(buffers: Rc<Buffers>, small: usize) -> Self {
        Self { buffers, small, gathered: Vec::new(), written: 0, large: Bytes::new(), tail: b"", is_flushed: true }
    }

    /// To write small things behind what is there already; not while [`has_room`](Self::has_room) is false.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        if self.gathered.capacity() == 0 {
            self.gathered = self.buffers.lend_written();
        }
        &mut self.gathered
    }

    /// Whether more may be put in before something is written.
    pub(super) const fn has_room(&self) -> bool {
        self.large.is_empty() && self.tail.is_empty() && self.gathered.len() - self.written < SMALL
    }

    /// Puts in a piece of a body; true when it was the last: `is_last` says so, or all of its length has come.
    pub(super) fn put(&mut self, framing: &mut Framing, mut data: Bytes, is_last: bool) -> bool {
        let ends = match framing {
            Framing::Length(left) => {
                // More than was said must not look like the next answer.
                data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= data.len() as u64;
                *left == 0
            }
            Framing::Chunked(_) | Framing::UntilClose => is_last,
        };
        let tail: &[u8] = match framing {
            Framing::Chunked(_) if data.is_empty() => {
                if is_last {
                    b"0\r\n\r\n"
                } else {
                    b""
                }
            }
            Framing::Chunked(_) => {
                write_chunk_size(data.len(), self.out());
                if is_last { b"\r\n0\r\n\r\n" } else { b"\r\n" }
            }
            Framing::Length(_) | Framing::UntilClose => b"",
        };
        if data.len() <= self.small {
            let out = self.out();
            out.extend_from_slice(&data);
            out.extend_from_slice(tail);
        } else {
            (self.large, self.tail) = (data, tail);
        }
        ends
    }

    /// Puts in the end of a body; false where it is not the end that its head has promised.
    pub(super) fn end(&mut self, framing: &Framing, trailers: Option<&HeaderMap>) -> bool {
        match (framing, trailers) {
            (Framing::Chunked(announced), Some(trailers)) => write_last_chunk(announced, trailers, self.out()),
            (Framing::Chunked(_), None) => self.out().extend_from_slice(b"0\r\n\r\n"),
            (Framing::Length(left), _) => return *left == 0,
            (Framing::UntilClose, _) => {}
        }
        true
    }

    /// Whether nothing waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.is_flushed && self.written == self.gathered.len() && self.large.is_empty() && self.tail.is_empty()
    }

    /// Writes all of it; then the buffer goes back. `wrote` is told that something went out.
    pub(super) fn poll_flush(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
        mut wrote: impl FnMut(),
    ) -> Poll<io::Result<()>> {
        while self.written < self.gathered.len() || !self.large.is_empty() || !self.tail.is_empty() {
            let count = ready!(self.poll_write(io, cx))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.is_flushed = false;
            self.advance(count);
            wrote();
        }
        if !self.is_flushed {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.is_flushed = true;
        }
        if self.gathered.capacity() > 0 {
            self.written = 0;
            self.buffers.take_written(std::mem::take(&mut self.gathered));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&self, io: &mut (impl AsyncWrite + Unpin), cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let gathered = &self.gathered[self.written..];
        if self.large.is_empty() && self.tail.is_empty() {
            Pin::new(io).poll_write(cx, gathered)
        } else if gathered.is_empty() && self.tail.is_empty() {
            Pin::new(io).poll_write(cx, &self.large)
        } else {
            Pin::new(io).poll_write_vectored(cx, &[IoSlice::new(gathered), IoSlice::new(&self.large), IoSlice::new(self.tail)])
        }
    }

    fn advance(&mut self, count: usize) {
        let gathered = count.min(self.gathered.len() - self.written);
        self.written += gathered;
        let large = (count - gathered).min(self.large.len());
        self.large.advance(large);
        if self.large.is_empty() {
            // Lets go of the octets as soon as they are written: they may hold a window open at the app's side.
            self.large = Bytes::new();
        }
        self.tail = &self.tail[count - gathered - large..];
    }
}
