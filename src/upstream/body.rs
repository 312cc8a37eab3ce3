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
use super::sender::SendFault;
use super::upgraded::Upgraded;

/// Why a response body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The upstream closed, or sent what is not HTTP.
    #[error("{0}")]
    Upstream(String),
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
    Upgraded(Connection),
    Ended,
}

struct Reading<B> {
    exchange: Exchange<B>,
    decoder: Decoder,
    reusable: bool,
    keep: Option<Duration>,
}

impl<B> UpstreamBody<B> {
    pub(super) const fn upgraded(connection: Connection) -> Self {
        Self { state: State::Upgraded(connection) }
    }

    /// After a 101: the connection itself, with what was read beyond the head.
    pub fn into_upgraded(self) -> Option<Upgraded> {
        match self.state {
            State::Upgraded(connection) => Some(Upgraded::new(connection.stream, connection.read)),
            State::Reading(_) | State::Trailers(_) | State::Ended => None,
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
    /// The next piece; None at the end.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        let Exchange { connection, sender, shared } = &mut self.exchange;
        // An upstream that answers need not take the rest: only the client's failure ends the response.
        if let Poll::Ready(Err(SendFault::Body(error))) = sender.poll(&mut connection.stream, cx) {
            return Poll::Ready(Err(BodyError::RequestBody(error)));
        }
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
            upgraded @ State::Upgraded(_) => {
                this.state = upgraded;
                Poll::Ready(None)
            }
            State::Reading(_) | State::Ended => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended | State::Upgraded(_))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Reading(Reading { decoder: Decoder::Length(left), .. }) => SizeHint::with_exact(*left),
            State::Reading(_) => SizeHint::default(),
            State::Trailers(_) | State::Ended | State::Upgraded(_) => SizeHint::with_exact(0),
        }
    }
}
