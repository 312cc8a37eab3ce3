//! One request and its response on one connection, up to the response's head.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use http_body::Body;

use super::client_tls::{TlsFault, tls_fault};
use super::connection::Connection;
use super::head::{Asked, HeadReader, Heads, ResponseHead};
use super::pool::Shared;
use super::sender::{SendFault, Sender};
use super::{BoxError, Inform, Progress, SendError};
use crate::clock;

/// How long a body waits for a 100 before it is sent all the same (RFC 9110, section 10.1.1).
pub(super) const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// Why there is no response head.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection was dead before any octet of the response.
    Dead(String),
    /// The same, and TLS says why: in TLS 1.3 the upstream may refuse the client's certificate after the handshake.
    Refused(TlsFault, String),
    /// It closed within the head.
    Closed(String),
    Garbage(&'static str),
    /// The upstream did not answer, or did not take the request.
    Timeout,
    /// The client did not send its body.
    BodyStalled,
    RequestBody(BoxError),
}

impl Failure {
    /// With the words for whoever reads of it.
    pub(super) fn into_error(self, connection: &Connection, patience: Duration) -> SendError {
        let origin = connection.target.origin();
        match self {
            Self::Dead(reason) => SendError::Closed(format!("{origin} closed the connection before it answered: {reason}")),
            Self::Refused(fault, reason) => SendError::Tls(fault, format!("{origin} ended the connection before it answered: {reason}")),
            Self::Closed(reason) => SendError::Closed(format!("{origin} closed the connection within a response head: {reason}")),
            Self::Garbage(reason) => SendError::Garbage(format!("{origin} sent what is not HTTP/1.1: {reason}")),
            Self::Timeout => SendError::ResponseTimeout(format!("{origin} did not answer within {patience:?}")),
            Self::BodyStalled => SendError::BodyStalled,
            Self::RequestBody(error) => SendError::RequestBody(error),
        }
    }
}

/// A connection in use, and what is still to be sent on it.
pub(super) struct Exchange<B> {
    pub(super) connection: Box<Connection>,
    pub(super) sender: Box<Sender<B>>,
    pub(super) shared: Rc<Shared>,
}

/// What is waited for, and how long.
pub(super) struct Wait {
    reader: HeadReader,
    patience: Duration,
    deadline: Instant,
    held_until: Option<Instant>,
    /// What the sender had moved when the deadline was set.
    moved: u64,
}

impl Wait {
    /// The wait begins at `begun`, and anew with each piece of the body.
    pub(super) fn new(asked: Asked, max_head: usize, patience: Duration, begun: Instant) -> Self {
        let reader = HeadReader::new(asked, max_head);
        Self { reader, patience, deadline: begun + patience, held_until: None, moved: 0 }
    }
}

impl<B> Exchange<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// Sends and reads at once until the final head is there.
    // Kept apart, so that its instructions can be told from others (`bench/instructions`).
    #[inline(never)]
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        wait: &mut Wait,
        progress: &Progress,
        inform: Inform<'_>,
    ) -> Poll<Result<ResponseHead, Failure>> {
        loop {
            let sent = self.sender.poll(&mut self.connection.stream, cx);
            if self.sender.has_begun() {
                progress.set_head_sent();
            }
            let fault = match sent {
                Poll::Ready(Err(SendFault::Body(error))) => return Poll::Ready(Err(Failure::RequestBody(error))),
                // It may have answered before it closed.
                Poll::Ready(Err(SendFault::Stream(error))) => Some(error),
                Poll::Ready(Ok(())) | Poll::Pending => None,
            };
            match self.poll_read(cx, wait) {
                Poll::Ready(Ok(Heads::Final(head))) => {
                    self.end_hold(&head);
                    return Poll::Ready(Ok(head));
                }
                Poll::Ready(Ok(Heads::Interim(interim))) => {
                    if interim.status() == StatusCode::CONTINUE {
                        self.sender.release();
                    }
                    inform(interim);
                }
                Poll::Ready(Ok(Heads::More)) => {}
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(with_cause(failure, fault))),
                Poll::Pending => match self.poll_time(cx, wait) {
                    Poll::Ready(Some(failure)) => return Poll::Ready(Err(failure)),
                    Poll::Ready(None) => {}
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }

    /// A refusal in place of the 100 means that the body is not wanted. A success in its place comes from an upstream that
    /// answers before it reads, and may go on only with the body.
    fn end_hold(&mut self, head: &ResponseHead) {
        if self.sender.is_held() && head.status.is_success() {
            self.sender.release();
        } else if self.sender.is_held() {
            self.sender.give_up();
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, wait: &mut Wait) -> Poll<Result<Heads, Failure>> {
        let connection = &mut self.connection;
        loop {
            match wait.reader.advance(&mut connection.read) {
                Ok(Heads::More) => {}
                Ok(heads) => return Poll::Ready(Ok(heads)),
                Err(reason) => return Poll::Ready(Err(Failure::Garbage(reason))),
            }
            if connection.read.capacity() == 0 {
                // A request that waits for its answer needs no buffer, and the one used last is the one that is warm.
                ready!(connection.stream.poll_readable(cx));
                self.shared.lend_buffer(connection);
            }
            let mut fault = None;
            let reason = match connection.poll_fill(cx) {
                Poll::Ready(Ok(0)) => "end of stream".to_owned(),
                Poll::Ready(Ok(_)) => continue,
                Poll::Ready(Err(error)) => {
                    fault = tls_fault(&error).filter(|_| !connection.reused);
                    error.to_string()
                }
                Poll::Pending => return Poll::Pending,
            };
            let untouched = connection.read.is_empty() && !wait.reader.has_begun();
            return Poll::Ready(Err(match fault {
                Some(fault) if untouched => Failure::Refused(fault, reason),
                None if untouched => Failure::Dead(reason),
                _ => Failure::Closed(reason),
            }));
        }
    }

    /// Ready when something is over: the whole wait, or (None) the wait for a 100.
    fn poll_time(&mut self, cx: &mut Context<'_>, wait: &mut Wait) -> Poll<Option<Failure>> {
        if self.sender.is_held() {
            let until = *wait.held_until.get_or_insert_with(|| clock::instant() + CONTINUE_WAIT);
            return self.connection.timer.poll_deadline(cx, until).map(|()| {
                self.sender.release();
                None
            });
        }
        if self.sender.moved() != wait.moved || wait.held_until.take().is_some() {
            wait.moved = self.sender.moved();
            wait.deadline = clock::instant() + wait.patience;
        }
        self.connection.timer.poll_deadline(cx, wait.deadline).map(|()| {
            let slow_client = self.sender.waits_for_body();
            Some(if slow_client { Failure::BodyStalled } else { Failure::Timeout })
        })
    }
}

/// The write error says more than the end of stream that follows it.
fn with_cause(failure: Failure, fault: Option<io::Error>) -> Failure {
    match (failure, fault) {
        (Failure::Dead(_), Some(error)) => Failure::Dead(error.to_string()),
        (failure, _) => failure,
    }
}
