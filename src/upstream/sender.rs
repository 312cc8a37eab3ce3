//! The sending half of an exchange: the request's head and body, pulled piece by piece as the socket takes them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::Body;
use tokio::io::AsyncWrite;

use super::BoxError;
use super::request::{Framing, write_trailers};
use super::stream::Stream;
use crate::message::write_chunk_size;

/// Why the request cannot be sent to its end.
#[derive(Debug)]
pub(super) enum SendFault {
    /// The body failed, or is not as long as was said. What was sent must not look complete.
    Body(BoxError),
    /// The upstream takes no more; it may have answered all the same.
    Stream(io::Error),
}

/// What is left of a request.
pub(super) struct Sender<B> {
    /// None once its end is in `front` or `tail`, or once it was given up.
    body: Option<B>,
    framing: Framing,
    /// Octets before `data`: the head, the size of a chunk, a trailer section; and how many of them are written.
    front: Vec<u8>,
    written: usize,
    data: Bytes,
    tail: &'static [u8],
    /// The body waits for a 100.
    held: bool,
    /// The head still waits for what the body has ready, so that both go out in one call.
    gathering: bool,
    /// The stream failed, or the rest is not wanted.
    given_up: bool,
    /// Whether everything written has left the TLS layer.
    flushed: bool,
    waits_for_body: bool,
    sent_trailers: bool,
    /// Grows with every piece of the body that is written.
    moved: u64,
}

impl<B> Sender<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// `head` is the whole head; a body of None has ended.
    pub(super) const fn new(head: Vec<u8>, body: Option<B>, framing: Framing, held: bool) -> Self {
        let gathering = body.is_some();
        Self {
            body,
            framing,
            front: head,
            written: 0,
            data: Bytes::new(),
            tail: b"",
            held,
            gathering,
            given_up: false,
            flushed: true,
            waits_for_body: false,
            sent_trailers: false,
            moved: 0,
        }
    }

    /// True when the upstream got all of the request.
    pub(super) fn is_complete(&self) -> bool {
        let all_pulled = self.body.is_none() || (self.framing == Framing::Length(0) && !self.gathering);
        all_pulled && !self.given_up && self.flushed && self.queued() == 0
    }

    /// True when the connection may carry another client's request: the upstream got all of this one, and no trailers. There
    /// are servers that show a request's trailers as fields of the next one on its connection.
    pub(super) fn leaves_nothing(&self) -> bool {
        self.is_complete() && !self.sent_trailers
    }

    /// True when there is nothing more to do.
    pub(super) fn is_done(&self) -> bool {
        self.given_up || (self.body.is_none() && self.flushed && self.queued() == 0)
    }

    /// True once a part of the request was written.
    pub(super) const fn has_begun(&self) -> bool {
        self.written > 0 || self.moved > 0
    }

    /// Whether the last [`poll`](Self::poll) ended because the body had nothing.
    pub(super) const fn waits_for_body(&self) -> bool {
        self.waits_for_body
    }

    pub(super) const fn is_held(&self) -> bool {
        self.held
    }

    /// A number that changes as the body does.
    pub(super) const fn moved(&self) -> u64 {
        self.moved
    }

    /// The body need not wait any longer.
    pub(super) const fn release(&mut self) {
        self.held = false;
    }

    /// Sends nothing more.
    pub(super) fn give_up(&mut self) {
        self.given_up = true;
        self.body = None;
        self.data = Bytes::new();
    }

    /// Back to the beginning, for another connection. Only for requests without a body.
    pub(super) const fn rewind(&mut self) {
        (self.written, self.given_up, self.flushed) = (0, false, true);
    }

    /// The buffer of the head, for the next request; this one is over.
    pub(super) fn take_buffer(&mut self) -> Vec<u8> {
        self.give_up();
        self.written = 0;
        std::mem::take(&mut self.front)
    }

    /// Writes as much as both sides allow. After an error nothing more is sent.
    pub(super) fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<Result<(), SendFault>> {
        if self.is_done() {
            return Poll::Ready(Ok(()));
        }
        let outcome = self.drive(stream, cx);
        if matches!(outcome, Poll::Ready(Err(_))) {
            self.give_up();
        }
        outcome
    }

    fn drive(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<Result<(), SendFault>> {
        self.waits_for_body = false;
        loop {
            let may_pull = self.gathering || self.queued() == 0;
            if may_pull && !self.held {
                self.gathering = false;
                if let Some(Poll::Ready(Err(error))) = self.pull(cx) {
                    return Poll::Ready(Err(SendFault::Body(error)));
                }
            }
            if self.queued() > 0 {
                self.waits_for_body = false;
                ready!(self.write(stream, cx)).map_err(SendFault::Stream)?;
                continue;
            }
            if !self.flushed {
                ready!(Pin::new(&mut *stream).poll_flush(cx)).map_err(SendFault::Stream)?;
                self.flushed = true;
            }
            if self.body.is_none() {
                return Poll::Ready(Ok(()));
            }
            if self.held || self.waits_for_body {
                return Poll::Pending;
            }
        }
    }

    /// Takes the next frame of the body into the queue; None if there is no body left.
    fn pull(&mut self, cx: &mut Context<'_>) -> Option<Poll<Result<(), BoxError>>> {
        let body = self.body.as_mut()?;
        let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
            self.waits_for_body = true;
            return Some(Poll::Pending);
        };
        self.waits_for_body = false;
        Some(Poll::Ready(match frame {
            None => self.end(None),
            Some(Err(error)) => Err(error.into()),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.queue(data),
                // Trailers, or a kind of frame that HTTP/1.1 has no place for.
                Err(frame) => match frame.into_trailers() {
                    Ok(trailers) => self.end(Some(&trailers)),
                    Err(_) => Ok(()),
                },
            },
        }))
    }

    fn queue(&mut self, data: Bytes) -> Result<(), BoxError> {
        if data.is_empty() {
            return Ok(());
        }
        self.clear_front();
        match &mut self.framing {
            Framing::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or("the body is longer than its Content-Length")?;
            }
            Framing::Chunked => {
                write_chunk_size(data.len(), &mut self.front);
                self.tail = b"\r\n";
            }
        }
        self.data = data;
        if self.body.as_ref().is_some_and(Body::is_end_stream) {
            if self.framing == Framing::Chunked {
                self.tail = b"\r\n0\r\n\r\n";
                self.body = None;
            } else {
                return self.end(None);
            }
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<&http::HeaderMap>) -> Result<(), BoxError> {
        self.body = None;
        match self.framing {
            Framing::Length(0) => {}
            Framing::Length(_) => return Err("the body is shorter than its Content-Length".into()),
            Framing::Chunked => {
                self.clear_front();
                match trailers {
                    Some(trailers) => {
                        self.sent_trailers = !trailers.is_empty();
                        write_trailers(trailers, &mut self.front);
                    }
                    None => self.front.extend_from_slice(b"0\r\n\r\n"),
                }
            }
        }
        Ok(())
    }

    /// The head stays until the first piece of the body is queued: a request without one may have to be sent again.
    fn clear_front(&mut self) {
        if self.written > 0 && self.written == self.front.len() {
            self.moved += 1;
            self.front.clear();
            self.written = 0;
        }
    }

    fn queued(&self) -> usize {
        self.front.len() - self.written + self.data.len() + self.tail.len()
    }

    fn write(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let front = &self.front[self.written..];
        let stream = Pin::new(stream);
        let count = if self.data.is_empty() && self.tail.is_empty() {
            ready!(stream.poll_write(cx, front))?
        } else {
            ready!(stream.poll_write_vectored(cx, &[IoSlice::new(front), IoSlice::new(&self.data), IoSlice::new(self.tail)]))?
        };
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.flushed = false;
        self.advance(count);
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, count: usize) {
        let front = count.min(self.front.len() - self.written);
        self.written += front;
        let data = (count - front).min(self.data.len());
        if data > 0 {
            self.data.advance(data);
            self.moved += 1;
            // Lets go of the octets as soon as they are written: they may hold a window open at the client's side.
            if self.data.is_empty() {
                self.data = Bytes::new();
            }
        }
        self.tail = &self.tail[(count - front - data).min(self.tail.len())..];
    }
}
