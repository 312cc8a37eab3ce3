//! The body of a response. Reading it also sends what is left of the request, and its end gives the connection back.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::BoxError;
use super::connection::Connection;
use super::decoder::{Decoder, Step};
use super::exchange::Exchange;
use super::http2::{Answer, Tunnel};
use super::sender::SendFault;
use super::upgraded::Upgraded;

/// Why a response body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The upstream closed, or sent what is not HTTP.
    #[error("{0}")]
    Upstream(String),
    /// The upstream reset the stream (HTTP/2).
    #[error("{text}")]
    Reset {
        /// The reason it gave, as a client may be told it: never NO_ERROR.
        reason: h2::Reason,
        /// For the log.
        text: String,
    },
    /// The rest of the request's body failed; the client is to blame.
    #[error("the request's body failed while the response was read: {0}")]
    RequestBody(BoxError),
}

/// The body of an upstream's response; while it is read, what is left of the request's body `B` is sent.
///
/// With its last frame the connection is free for another request; dropped before, the connection is closed.
pub struct UpstreamBody<B> {
    state: State<B>,
}

// Reading is the usual state: a box would cost each response an allocation.
#[allow(clippy::large_enum_variant)]
enum State<B> {
    Reading(Reading<B>),
    /// The last frame is still to be handed out; the connection is gone.
    Trailers(HeaderMap),
    Upgraded(Box<Connection>),
    Ended,
    /// The same over HTTP/2.
    Stream(Box<Answer<B>>),
    Tunnel(Box<Tunnel>),
}

struct Reading<B> {
    exchange: Exchange<B>,
    decoder: Decoder,
    reusable: bool,
    keep: Option<Duration>,
}

impl<B> UpstreamBody<B> {
    pub(super) const fn upgraded(connection: Box<Connection>) -> Self {
        Self { state: State::Upgraded(connection) }
    }

    pub(super) fn tunnel(tunnel: Tunnel) -> Self {
        Self { state: State::Tunnel(Box::new(tunnel)) }
    }

    /// One that has ended with the head.
    pub(super) const fn ended() -> Self {
        Self { state: State::Ended }
    }

    /// After a 101: the connection or stream itself, with what was read beyond the head.
    pub fn into_upgraded(self) -> Option<Upgraded> {
        match self.state {
            State::Upgraded(connection) => Some(Upgraded::new(connection.stream, connection.read)),
            State::Tunnel(tunnel) => Some(Upgraded::tunnel(tunnel)),
            State::Reading(_) | State::Trailers(_) | State::Ended | State::Stream(_) => None,
        }
    }
}

impl<B> UpstreamBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    pub(super) fn new(exchange: Exchange<B>, decoder: Decoder, reusable: bool, keep: Option<Duration>) -> Self {
        let mut body = Self { state: State::Reading(Reading { exchange, decoder, reusable, keep }) };
        body.settle();
        body
    }

    pub(super) fn of_stream(answer: Answer<B>) -> Self {
        let state = if answer.has_ended() { State::Ended } else { State::Stream(Box::new(answer)) };
        Self { state }
    }

    /// Sends what is left of the request, without reading anything of the response: for whoever cannot hand on more of it
    /// just now. Ready when there is nothing left, or the upstream takes no more.
    ///
    /// # Errors
    /// The request's body failed; the response has ended with it.
    pub fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        let sent = match &mut self.state {
            State::Reading(reading) => reading.poll_request(cx),
            State::Stream(answer) => answer.poll_request(cx),
            State::Trailers(_) | State::Upgraded(_) | State::Ended | State::Tunnel(_) => Poll::Ready(Ok(())),
        };
        if matches!(sent, Poll::Ready(Err(_))) {
            self.state = State::Ended;
        }
        sent
    }

    /// Lets go of the connection if the body has ended.
    fn settle(&mut self) {
        if matches!(&self.state, State::Reading(reading) if reading.decoder.has_ended()) {
            self.finish();
        }
    }

    /// The response is complete: the connection is kept if it is clean.
    fn finish(&mut self) {
        let State::Reading(mut reading) = std::mem::replace(&mut self.state, State::Ended) else { return };
        if let Some(trailers) = reading.decoder.take_trailers() {
            self.state = State::Trailers(trailers);
        }
        let Exchange { connection, mut sender, shared } = reading.exchange;
        let clean = reading.reusable && sender.leaves_nothing() && connection.read.is_empty();
        shared.give_head_buffer(sender.take_buffer());
        if clean {
            shared.park(connection, reading.keep);
        }
    }
}

impl<B> Reading<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// An upstream that answers need not take the rest: only the client's failure counts.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        match ready!(self.exchange.sender.poll(&mut self.exchange.connection.stream, cx)) {
            Err(SendFault::Body(error)) => Poll::Ready(Err(BodyError::RequestBody(error))),
            Err(SendFault::Stream(_)) | Ok(()) => Poll::Ready(Ok(())),
        }
    }

    /// The next piece; None at the end.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        if let Poll::Ready(Err(error)) = self.poll_request(cx) {
            return Poll::Ready(Err(error));
        }
        let Exchange { connection, shared, .. } = &mut self.exchange;
        let cut = |reason: &dyn std::fmt::Display, connection: &Connection| {
            let origin = connection.target.origin();
            Poll::Ready(Err(BodyError::Upstream(format!("the response of {origin} was cut short: {reason}"))))
        };
        loop {
            match self.decoder.step(&mut connection.read, shared.settings.max_head) {
                Ok(Step::Data(data)) => return Poll::Ready(Ok(Some(data))),
                Ok(Step::End) => return Poll::Ready(Ok(None)),
                Ok(Step::More) => {}
                Err(reason) => return cut(&reason, connection),
            }
            match ready!(connection.poll_fill(cx)) {
                Ok(0) if matches!(self.decoder, Decoder::UntilClose) => return Poll::Ready(Ok(None)),
                Ok(0) => return cut(&"the connection closed", connection),
                Ok(_) => {}
                Err(error) => return cut(&error, connection),
            }
        }
    }
}

impl<B> Body for UpstreamBody<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let State::Stream(answer) = &mut this.state {
            let frame = answer.poll_frame(cx);
            if matches!(frame, Poll::Ready(None | Some(Err(_)))) || answer.has_ended() {
                this.state = State::Ended;
            }
            return frame;
        }
        if let State::Reading(reading) = &mut this.state {
            match ready!(reading.poll_data(cx)) {
                Ok(Some(data)) => {
                    this.settle();
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(None) => this.finish(),
                Err(error) => {
                    this.state = State::Ended;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        match std::mem::replace(&mut this.state, State::Ended) {
            State::Trailers(trailers) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            upgraded @ (State::Upgraded(_) | State::Tunnel(_)) => {
                this.state = upgraded;
                Poll::Ready(None)
            }
            State::Reading(_) | State::Ended | State::Stream(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended | State::Upgraded(_) | State::Tunnel(_))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Reading(Reading { decoder: Decoder::Length(left), .. }) => SizeHint::with_exact(*left),
            State::Reading(_) => SizeHint::default(),
            State::Stream(answer) => answer.left().map_or_else(SizeHint::default, SizeHint::with_exact),
            State::Trailers(_) | State::Ended | State::Upgraded(_) | State::Tunnel(_) => SizeHint::with_exact(0),
        }
    }
}
