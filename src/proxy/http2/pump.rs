//! The body of an answer on its way into a stream, piece by piece as the client's window opens.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body;

use super::grpc;
use crate::proxy::body::AnswerBody;
use crate::upstream::BodyError;

/// Sends `body` to its end. One that fails resets the stream, so that it never looks whole (RFC 9113, section 8.1.1), or ends
/// an answer of gRPC with a status that says so; a client that resets it ends the body.
pub(super) async fn pump(stream: SendStream<Bytes>, body: AnswerBody, is_grpc: bool) {
    let mut pump = Pump { stream, body, is_grpc, piece: None };
    poll_fn(|cx| pump.poll(cx)).await;
}

struct Pump {
    stream: SendStream<Bytes>,
    body: AnswerBody,
    is_grpc: bool,
    /// Waits for the window, and whether it is the last.
    piece: Option<(Bytes, bool)>,
}

/// Why there is nothing more to send.
enum Over {
    Sent,
    /// The client, or its connection.
    Gone,
    Failed(BodyError),
}

impl Pump {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let over = ready!(self.poll_over(cx));
        if let Over::Failed(error) = over {
            match grpc::status_of(&error).filter(|_| self.is_grpc) {
                // It fails only where the client is gone.
                Some(status) => drop(self.stream.send_trailers(status)),
                None => self.stream.send_reset(reason_of(&error)),
            }
        }
        Poll::Ready(())
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        loop {
            if self.stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Over::Gone);
            }
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
        // One octet is enough to ask for: `send_data` raises it to what it is given.
        self.stream.reserve_capacity(1);
        self.piece = Some((data, is_last));
        None
    }

    /// Sends the piece in hand once there is room for any of it.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Over>> {
        if self.piece.is_none() {
            return Poll::Ready(None);
        }
        while self.stream.capacity() == 0 {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Some(Over::Gone)),
                // A client that does not take may send all the same.
                Poll::Pending => {
                    return self.body.drive_request(cx).map_or_else(|error| Poll::Ready(Some(Over::Failed(error))), |()| Poll::Pending);
                }
            }
        }
        let over = self.piece.take().and_then(|(data, is_last)| self.send(data, is_last));
        Poll::Ready(over)
    }

    fn send(&mut self, data: Bytes, is_last: bool) -> Option<Over> {
        match self.stream.send_data(data, is_last) {
            Ok(()) => is_last.then_some(Over::Sent),
            Err(_) => Some(Over::Gone),
        }
    }
}

fn reason_of(error: &BodyError) -> Reason {
    match error {
        BodyError::Reset { reason, .. } => *reason,
        BodyError::Upstream(_) | BodyError::RequestBody(_) => Reason::INTERNAL_ERROR,
    }
}
