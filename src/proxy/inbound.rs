//! The body of a request as its version of HTTP hands it in.

use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::upgrade::OnUpgrade;

use super::http2::StreamBody;
use crate::message::Fields;

/// A request as the stages take it: what its exchange does not keep.
pub struct Incoming {
    /// What the head says.
    pub fields: Fields,
    /// What follows.
    pub body: Inbound,
    /// Where the connection will be, once it has switched (HTTP/1.1).
    pub upgrade: Option<OnUpgrade>,
}

/// A request's body.
pub enum Inbound {
    /// Over HTTP/1.1.
    Http1(hyper::body::Incoming),
    /// Over HTTP/2.
    Http2(StreamBody),
    /// What a request for a WebSocket over HTTP/2 has: what follows it belongs to the tunnel.
    None,
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub enum InboundError {
    /// It breaks its framing.
    #[error("{0}")]
    Malformed(hyper::Error),
    /// The HTTP/1.1 connection failed.
    #[error(transparent)]
    Http1(hyper::Error),
    /// The HTTP/2 stream or its connection failed.
    #[error(transparent)]
    Http2(#[from] h2::Error),
}

impl From<hyper::Error> for InboundError {
    fn from(error: hyper::Error) -> Self {
        // What the framing guard does not let pass, hyper sees as a failed read of this kind.
        let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
        let is_malformed = cause.is_some_and(|cause| cause.kind() == io::ErrorKind::InvalidData);
        if is_malformed { Self::Malformed(error) } else { Self::Http1(error) }
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = InboundError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, InboundError>>> {
        match self.get_mut() {
            Self::Http1(incoming) => Pin::new(incoming).poll_frame(cx).map_err(InboundError::from),
            Self::Http2(body) => body.poll_frame(cx).map_err(InboundError::from),
            Self::None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(incoming) => incoming.is_end_stream(),
            Self::Http2(body) => body.is_end(),
            Self::None => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(incoming) => incoming.size_hint(),
            Self::Http2(body) if !body.is_end() => SizeHint::default(),
            Self::Http2(_) | Self::None => SizeHint::with_exact(0),
        }
    }
}
