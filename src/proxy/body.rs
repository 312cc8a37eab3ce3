//! Bodies as they pass: the client's, limited and counted as it comes in; the answer's, counted as it is handed on.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use tokio::task::yield_now;
use tokio::time::{Sleep, sleep};

use super::context::Exchange;
use super::headers::strip_trailers;
use super::inbound::{Inbound, InboundError};
use super::reports::strip_reports_of;
use super::reserve::{Meter, Ticket};
use crate::observe::Owner;
use crate::upstream::{BodyError, UpstreamBody};

/// Why a client's body did not arrive whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyFault {
    /// It is larger than `limits.max_body`.
    #[error("the body is larger than {0} octets")]
    TooLarge(u64),
    /// Nothing of it came for `limits.idle_timeout`.
    #[error("the body stopped arriving")]
    Stalled,
    /// It broke off.
    #[error(transparent)]
    Client(#[from] InboundError),
}

/// What a client's body and the rest of its exchange know of each other.
#[derive(Default)]
pub struct Inflow {
    /// Octets that have come.
    pub octets: Cell<u64>,
    /// The app has begun to answer: how long each side may be silent from now on is between the two, as in a stream of events
    /// or in a conversation over gRPC.
    pub is_answered: Cell<bool>,
}

/// A client's body on its way to the upstream.
pub struct ClientBody {
    incoming: Inbound,
    meter: Meter,
    inflow: Rc<Inflow>,
    limit: u64,
    left: u64,
    patience: Duration,
    /// Runs while the client is waited for.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl ClientBody {
    /// A body of at most `limit` octets that may pause for `patience` while nobody has answered.
    pub fn new(incoming: Inbound, meter: Meter, inflow: Rc<Inflow>, limit: u64, patience: Duration) -> Self {
        Self { incoming, meter, inflow, limit, left: limit, patience, waiting: None }
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.inflow.is_answered.get() {
            return Poll::Pending;
        }
        let patience = self.patience;
        self.waiting.get_or_insert_with(|| Box::pin(sleep(patience))).as_mut().poll(cx)
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
            return this.poll_stalled(cx).map(|()| Some(Err(BodyFault::Stalled)));
        };
        this.waiting = None;
        let Some(frame) = frame else { return Poll::Ready(None) };
        let mut frame = frame?;
        if let Some(data) = frame.data_ref() {
            let octets = data.len() as u64;
            this.inflow.octets.set(this.inflow.octets.get() + octets);
            this.meter.ingress(octets);
            let Some(left) = this.left.checked_sub(octets) else { return Poll::Ready(Some(Err(BodyFault::TooLarge(this.limit)))) };
            this.left = left;
        } else if let Some(trailers) = frame.trailers_mut() {
            strip_trailers(trailers);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// The body of an answer.
pub enum AnswerBody {
    /// The gateway's own.
    Own(Option<Bytes>),
    /// The app's.
    App(Box<AppBody>),
}

/// The app's body on its way to the client, with all that ends when it does.
pub struct AppBody {
    upstream: UpstreamBody<ClientBody>,
    ticket: Ticket,
    exchange: Box<Exchange>,
    /// Why the answer is cut short, once that is known.
    fault: Option<BodyError>,
    /// Lets what was handed on before the fault go out.
    pause: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl AppBody {
    /// The exchange ends with this body.
    pub fn new(upstream: UpstreamBody<ClientBody>, ticket: Ticket, mut exchange: Box<Exchange>) -> Self {
        note(&mut exchange, upstream.is_end_stream());
        exchange.inflow.is_answered.set(true);
        Self { upstream, ticket, exchange, fault: None, pause: None }
    }

    /// Sends what is ready of the request's body while nothing can be handed on of the answer's.
    fn drive_request(&mut self, cx: &mut Context<'_>) -> Result<(), BodyError> {
        match self.upstream.poll_request(cx) {
            Poll::Ready(Err(error)) => {
                self.exchange.outcome.owner = Owner::Client;
                Err(error)
            }
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }
}

/// Whether the app's answer has been handed on whole; to a client of HTTP/1.0, only the way in which its connection ends may tell.
fn note(exchange: &mut Exchange, complete: bool) {
    exchange.outcome.complete = complete;
    if exchange.version == Version::HTTP_10
        && let Some(http1) = &exchange.connection.http1
    {
        http1.set_open_ended(!complete);
    }
}

impl Body for AppBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
        }
        if let Some(fault) = this.fault.take() {
            return Poll::Ready(Some(Err(fault)));
        }
        let mut frame = ready!(Pin::new(&mut this.upstream).poll_frame(cx));
        match &mut frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.ticket.meter().egress(data.len() as u64);
                    this.exchange.bytes_out += data.len() as u64;
                } else if let Some(trailers) = frame.trailers_mut() {
                    strip_trailers(trailers);
                    strip_reports_of(trailers);
                }
                // Over HTTP/1.1 no more is asked for once the length is reached, though trailers may follow.
                let has_length = this.exchange.version != Version::HTTP_2 && this.upstream.size_hint().exact() == Some(0);
                note(&mut this.exchange, has_length || this.upstream.is_end_stream());
            }
            Some(Err(error)) => {
                let tenant = this.exchange.facts.as_ref().map(|facts| facts.tenant.slug.as_str());
                this.exchange.worker.troubles.tell(|left_out| {
                    tracing::warn!(tenant, request_id = this.exchange.id.as_str(), left_out, %error, "a response was cut short");
                });
                this.exchange.outcome.owner = match error {
                    BodyError::Upstream(_) | BodyError::Reset { .. } => Owner::Upstream,
                    BodyError::RequestBody(_) => Owner::Client,
                };
                // An error makes h2 drop what it has not written: head and octets that came with it go out first.
                // Over HTTP/2 another task writes, so it is its turn, whether it was woken before this one or not.
                this.fault = frame.and_then(Result::err);
                let mut pause: Pin<Box<dyn Future<Output = ()>>> = Box::pin(yield_now());
                match pause.as_mut().poll(cx) {
                    Poll::Pending => this.pause = Some(pause),
                    Poll::Ready(()) => cx.waker().wake_by_ref(),
                }
                return Poll::Pending;
            }
            None => note(&mut this.exchange, true),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.fault.is_none() && self.upstream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.upstream.size_hint()
    }
}

impl AnswerBody {
    /// Goes on with the request while the client takes nothing of the answer; an error is the answer's end.
    pub fn drive_request(&mut self, cx: &mut Context<'_>) -> Result<(), BodyError> {
        match self {
            Self::Own(_) => Ok(()),
            Self::App(body) => body.drive_request(cx),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::App(body) => Pin::new(&mut **body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::App(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::App(body) => body.size_hint(),
        }
    }
}
