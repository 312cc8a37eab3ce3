//! The body of a response on a stream. Reading it also sends what is left of the request, and what is handed on opens the
//! stream's window again.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use http::StatusCode;
use http::header;
use http_body::{Body, Frame};

use super::super::{BodyError, BoxError, Response, SendError, UpstreamBody};
use super::call::Call;
use super::fault::cut;
use super::lease::Lease;
use super::pump::Pump;
use super::request::{Outline, content_length};
use super::websocket::{Tunnel, make_switch};
use crate::message::Fields;

/// How long a response that has no body may take to end its stream.
const LINGER: Duration = Duration::from_secs(1);

/// A response that is being read.
pub(in crate::upstream) struct Answer<B> {
    recv: RecvStream,
    pump: Pump<B>,
    /// What its Content-Length says is still to come.
    left: Option<u64>,
    /// Given back after the stream.
    lease: Lease,
}

/// The response with its body. Where a WebSocket was asked for and is granted, it is a 101.
pub(super) fn respond<B>(call: Call<B>, outline: &Outline, head: http::Response<RecvStream>) -> Result<Box<Response<B>>, SendError>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let Call { mut pump, lease, .. } = call;
    pump.forget();
    let (mut parts, recv) = head.into_parts();
    let origin = lease.origin();
    let length =
        content_length(&mut parts.headers).map_err(|reason| SendError::Garbage(format!("{origin} sent what is not HTTP/2: {reason}")))?;
    let body = match &outline.websocket {
        Some(key) if parts.status.is_success() => {
            make_switch(&mut parts.headers, key);
            parts.status = StatusCode::SWITCHING_PROTOCOLS;
            UpstreamBody::tunnel(Tunnel::new(pump.into_stream(), recv, lease))
        }
        refused => {
            if refused.is_some() {
                pump.end_unasked();
            }
            let is_empty = outline.is_head || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
            if parts.status == StatusCode::NO_CONTENT {
                // A length has no place here (RFC 9110, section 8.6).
                parts.headers.remove(header::CONTENT_LENGTH);
            }
            let answer = Answer { recv, pump, left: length, lease };
            if is_empty { answer.without_body() } else { UpstreamBody::of_stream(answer) }
        }
    };
    Ok(Box::new(Response { status: parts.status, reason: None, fields: Fields::from(&parts.headers), body }))
}

impl<B> Answer<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// Nothing of a body is handed on. The stream may end with a frame of its own: if the request was sent, that is waited
    /// for, off the request's path, because a reset would look like a client that left.
    fn without_body(self) -> UpstreamBody<B> {
        let Self { mut recv, pump, lease, .. } = self;
        if pump.is_complete() && !recv.is_end_stream() {
            tokio::task::spawn_local(async move {
                // A body that must not be there is not waited for.
                let end = async {
                    while let Some(Ok(data)) = recv.data().await
                        && data.is_empty()
                    {}
                };
                let _ = tokio::time::timeout(LINGER, end).await;
                drop((recv, pump.into_stream(), lease));
            });
        }
        UpstreamBody::ended()
    }
}

impl<B> Answer<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// Sends what is left of the request, and nothing else.
    pub(in crate::upstream) fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        self.pump.poll(cx).map_err(BodyError::RequestBody)
    }

    /// The next frame; None at the end. A failed body of the request has reset the stream, and ends this one too.
    pub(in crate::upstream) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(Err(error)) = self.poll_request(cx) {
            return Poll::Ready(Some(Err(error)));
        }
        loop {
            match ready!(self.recv.poll_data(cx)) {
                // The last frame of a body is often an empty one.
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => {
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    // A stream that is over needs no window.
                    let _ = self.recv.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(cut(&error, &self.lease)))),
                None => break,
            }
        }
        match ready!(self.recv.poll_trailers(cx)) {
            Ok(trailers) => Poll::Ready(trailers.filter(|trailers| !trailers.is_empty()).map(|trailers| Ok(Frame::trailers(trailers)))),
            Err(error) => Poll::Ready(Some(Err(cut(&error, &self.lease)))),
        }
    }

    /// Whether all of the response was handed out.
    pub(in crate::upstream) fn has_ended(&self) -> bool {
        self.recv.is_end_stream()
    }

    /// What is still to come, where the head said it.
    pub(in crate::upstream) const fn left(&self) -> Option<u64> {
        self.left
    }
}
