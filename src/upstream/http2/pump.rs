//! The sending half of a stream: the request's body, pulled piece by piece as the peer's windows take it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;
use http_body::Body;

use super::super::BoxError;
use super::replay::Replay;
use super::request::strip_hop_by_hop;

/// Octets that are asked for at once.
const PIECE: usize = 64 * 1024;

/// What is left of a request's body.
pub(super) struct Pump<B> {
    stream: SendStream<Bytes>,
    /// None once its end was handed over, or once it was given up.
    body: Option<Replay<B>>,
    /// The body that is not sent any more, but may be again on another stream.
    spent: Option<Replay<B>>,
    /// It may be sent again.
    again: bool,
    /// What its Content-Length says is still to come.
    left: Option<u64>,
    data: Bytes,
    /// The body waits for a 100.
    held: bool,
    complete: bool,
    waits_for_body: bool,
    /// Grows with every piece that is handed over.
    moved: u64,
}

impl<B> Pump<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// A body of None has ended, and its end was handed over with the head.
    pub(super) const fn new(stream: SendStream<Bytes>, body: Option<Replay<B>>, left: Option<u64>, held: bool) -> Self {
        let complete = body.is_none();
        Self { stream, body, spent: None, again: true, left, data: Bytes::new(), held, complete, waits_for_body: false, moved: 0 }
    }

    /// True when the peer gets all of the request.
    pub(super) const fn is_complete(&self) -> bool {
        self.complete
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

    /// Sends nothing more; the stream is reset when it is dropped.
    pub(super) fn give_up(&mut self) {
        (self.body, self.spent, self.again) = (None, None, false);
        self.data = Bytes::new();
    }

    /// The peer has answered: the body is not sent again.
    pub(super) fn forget(&mut self) {
        (self.spent, self.again) = (None, false);
        if let Some(body) = &mut self.body {
            body.forget();
        }
    }

    /// This stream takes no more of the body.
    fn end_body(&mut self) {
        self.spent = self.body.take().filter(|_| self.again);
        self.data = Bytes::new();
    }

    /// Ends a stream on which nothing more is to be said, such as one whose tunnel was refused.
    pub(super) fn end_unasked(&mut self) {
        // Where the peer has reset it, there is nothing to end.
        let _ = self.stream.send_data(Bytes::new(), true);
    }

    /// The body from its beginning, or that there was none; None where it cannot be sent again. The stream is reset unless
    /// it is over.
    pub(super) fn into_whole(self) -> Option<Option<Replay<B>>> {
        if !self.again {
            return None;
        }
        match self.body.or(self.spent) {
            Some(body) => body.begin_again().map(Some),
            None => Some(None),
        }
    }

    pub(super) fn into_stream(self) -> SendStream<Bytes> {
        self.stream
    }

    /// Hands over as much as both sides allow. A body that fails resets the stream: its end must not look like one. Where the
    /// peer takes no more, the rest is dropped; what it answers says why.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.waits_for_body = false;
        while self.body.is_some() {
            if !self.data.is_empty() {
                if ready!(self.poll_write(cx)).is_none() {
                    self.end_body();
                }
                continue;
            }
            if self.held {
                return Poll::Pending;
            }
            if let Err(error) = ready!(self.poll_pull(cx)) {
                self.give_up();
                self.stream.send_reset(Reason::CANCEL);
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes the next frame of the body.
    fn poll_pull(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let Some(body) = &mut self.body else { return Poll::Ready(Ok(())) };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
            self.waits_for_body = true;
            return Poll::Pending;
        };
        Poll::Ready(match frame {
            None => self.end(None),
            Some(Err(error)) => Err(error.into()),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.queue(data),
                Err(frame) => match frame.into_trailers() {
                    Ok(trailers) => self.end(Some(trailers)),
                    // A kind of frame that HTTP has no place for.
                    Err(_) => Ok(()),
                },
            },
        })
    }

    fn queue(&mut self, data: Bytes) -> Result<(), BoxError> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(data.len() as u64).ok_or("the body is longer than its Content-Length")?;
        }
        self.data = data;
        Ok(())
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), BoxError> {
        if self.left.is_some_and(|left| left > 0) {
            return Err("the body is shorter than its Content-Length".into());
        }
        let ended = match trailers {
            Some(mut trailers) => {
                strip_hop_by_hop(&mut trailers);
                self.stream.send_trailers(trailers)
            }
            None => self.stream.send_data(Bytes::new(), true),
        };
        // Where the peer has reset the stream, its answer says so.
        self.complete = ended.is_ok();
        self.end_body();
        Ok(())
    }

    /// Hands over a piece; None where the peer takes no more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.stream.reserve_capacity(self.data.len().min(PIECE));
        let room = loop {
            // Only growth is told of: what there is already is asked for first.
            match self.stream.capacity() {
                0 => match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Poll::Ready(None),
                },
                room => break room,
            }
        };
        let piece = self.data.split_to(room.min(self.data.len()));
        if self.data.is_empty() {
            // The rest of a chunk may hold a window open at the client's side.
            self.data = Bytes::new();
        }
        let is_last = self.data.is_empty() && self.left.unwrap_or(0) == 0 && self.body.as_ref().is_some_and(Body::is_end_stream);
        if self.stream.send_data(piece, is_last).is_err() {
            return Poll::Ready(None);
        }
        self.moved += 1;
        if is_last {
            self.complete = true;
            self.end_body();
        }
        Poll::Ready(Some(()))
    }
}
