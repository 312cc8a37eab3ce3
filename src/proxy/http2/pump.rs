//! The body of an answer on its way into a stream, piece by piece as the client's window opens.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body;
use tokio::time::{Sleep, sleep};

use super::counted::Counted;
use super::{SEND_BUFFER, grpc};
use crate::proxy::body::AnswerBody;
use crate::proxy::connection::Connection;
use crate::upstream::BodyError;

/// Octets of a frame that is one record of TLS together with its head; a larger one would be two (RFC 8446, section 5.1).
const FRAME: usize = 16 * 1024 - 9;

/// Sends a body to its end. One that fails resets its stream at once, so that it never looks whole (RFC 9113, section 8.1.1), or
/// ends an answer of gRPC with a status that says so; a client that resets it ends the body.
///
/// A client that leaves this answer alone for `patience`, although it had its turn, is stuck with it; its other streams go on.
pub(super) struct Pump {
    stream: SendStream<Counted>,
    body: AnswerBody,
    is_grpc: bool,
    /// The head was all.
    is_over: bool,
    connection: Rc<Connection>,
    patience: Duration,
    /// Waits for the window, and whether it is the last.
    piece: Option<(Bytes, bool)>,
    /// While the stream takes nothing.
    stuck: Option<Stuck>,
}

struct Stuck {
    timer: Pin<Box<Sleep>>,
    /// What the connection had carried when it began, and at the last look.
    began: u64,
    last: u64,
}

/// Why there is nothing more to send.
enum Over {
    Sent,
    /// The client, or its connection.
    Gone,
    /// The client takes nothing.
    Stuck,
    Failed(BodyError),
}

impl Pump {
    /// `is_over` says that the head has ended the stream.
    pub(super) const fn new(
        stream: SendStream<Counted>,
        body: AnswerBody,
        (is_grpc, is_over): (bool, bool),
        connection: Rc<Connection>,
        patience: Duration,
    ) -> Self {
        Self { stream, body, is_grpc, is_over, connection, patience, piece: None, stuck: None }
    }

    /// The stream, which is reset when it is dropped before the request has ended; the body ends now.
    pub(super) fn into_stream(self) -> SendStream<Counted> {
        self.stream
    }

    /// Ready when there is nothing more to send.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_over {
            return Poll::Ready(());
        }
        let over = ready!(self.poll_over(cx));
        match over {
            Over::Sent | Over::Gone => {}
            Over::Stuck => self.stream.send_reset(Reason::CANCEL),
            Over::Failed(error) => match grpc::status_of(&error).filter(|_| self.is_grpc) {
                // It fails only where the client is gone.
                Some(status) => drop(self.stream.send_trailers(status)),
                None => self.stream.send_reset(reason_of(&error)),
            },
        }
        Poll::Ready(())
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        let over = self.poll_pieces(cx);
        // While something can be sent, sending tells of a reset as well.
        if over.is_pending() && self.stream.poll_reset(cx).is_ready() {
            return Poll::Ready(Over::Gone);
        }
        over
    }

    /// Sends as much as there is, and as the client takes.
    fn poll_pieces(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        loop {
            if let Some(over) = ready!(self.poll_piece(cx)) {
                return Poll::Ready(over);
            }
            // A piece is asked for before the window is: what is reserved for a stream that has nothing to send is missing
            // to the others of its connection.
            let over = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => self.send(Bytes::new(), true),
                Some(Err(error)) => Some(Over::Failed(error)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.take(data),
                    Err(frame) => match frame.into_trailers() {
                        Ok(trailers) => Some(self.stream.send_trailers(trailers).map_or(Over::Gone, |()| Over::Sent)),
                        Err(_) => None,
                    },
                },
            };
            if let Some(over) = over {
                return Poll::Ready(over);
            }
        }
    }

    fn take(&mut self, data: Bytes) -> Option<Over> {
        let is_last = self.body.is_end_stream();
        if data.is_empty() {
            return if is_last { self.send(data, true) } else { None };
        }
        self.stream.reserve_capacity(data.len());
        self.piece = Some((data, is_last));
        None
    }

    /// Sends the piece in hand as there is room for it, and no more than that: what is sent leaves this clock's sight.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Over>> {
        while let Some((data, is_last)) = &mut self.piece {
            let room = self.stream.capacity().min(framed(data.len()));
            if room > 0 {
                self.stuck = None;
                let (part, is_last) = (data.split_to(room), *is_last && data.is_empty());
                if data.is_empty() {
                    self.piece = None;
                }
                if let Some(over) = self.send(part, is_last) {
                    return Poll::Ready(Some(over));
                }
                continue;
            }
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Some(Over::Gone)),
                Poll::Pending => return self.poll_stuck(cx).map(Some),
            }
        }
        Poll::Ready(None)
    }

    fn poll_stuck(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        // A client that does not take may send all the same.
        if let Err(error) = self.body.drive_request(cx) {
            return Poll::Ready(Over::Failed(error));
        }
        let (patience, carried) = (self.patience, self.connection.carried.get());
        let stuck = self.stuck.get_or_insert_with(|| Stuck { timer: Box::pin(sleep(patience)), began: carried, last: carried });
        loop {
            ready!(stuck.timer.as_mut().poll(cx));
            // Streams take turns, for the connection's window as for the connection. Where it goes on, but so slowly that this
            // one may not have had its turn, nobody knows yet whether it is stuck.
            let had_its_turn = carried - stuck.began >= 2 * u64::from(self.connection.open.get()) * SEND_BUFFER as u64;
            if carried == stuck.last || had_its_turn {
                return Poll::Ready(Over::Stuck);
            }
            stuck.last = carried;
            stuck.timer.set(sleep(patience));
        }
    }

    fn send(&mut self, data: Bytes, is_last: bool) -> Option<Over> {
        match self.stream.send_data(Counted::new(data, &self.connection.carried), is_last) {
            Ok(()) => is_last.then_some(Over::Sent),
            Err(_) => Some(Over::Gone),
        }
    }
}

/// Of so many octets, those of the first frame: as few frames as there can be, of about one size.
fn framed(octets: usize) -> usize {
    octets.div_ceil(octets.div_ceil(FRAME).max(1))
}

fn reason_of(error: &BodyError) -> Reason {
    match error {
        BodyError::Reset { reason, .. } => *reason,
        BodyError::Upstream(_) | BodyError::RequestBody(_) => Reason::INTERNAL_ERROR,
    }
}
