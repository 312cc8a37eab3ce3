//! The body of a request as its version of HTTP hands it in.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::http1::Upload;
use super::http2::StreamBody;
use crate::message::Fields;

/// A request as the stages take it: what its exchange does not keep.
pub struct Incoming {
    /// What the head says.
    pub fields: Fields,
    /// What follows.
    pub body: Inbound,
}

/// A request's body.
pub enum Inbound {
    /// Over HTTP/1.1.
    Http1(Upload),
    /// Over HTTP/2.
    Http2(StreamBody),
    /// There is none; what follows a request for a WebSocket belongs to the tunnel.
    None,
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub enum InboundError {
    /// It breaks its framing.
    #[error("{0}")]
    Malformed(&'static str),
    /// The HTTP/1.1 connection failed.
    #[error(transparent)]
    Http1(io::Error),
    /// The HTTP/2 stream or its connection failed.
    #[error(transparent)]
    Http2(#[from] h2::Error),
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = InboundError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, InboundError>>> {
        match self.get_mut() {
            Self::Http1(body) => body.poll_frame(cx),
            Self::Http2(body) => body.poll_frame(cx).map_err(InboundError::from),
            Self::None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end(),
            Self::Http2(body) => body.is_end(),
            Self::None => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) if !body.is_end() => SizeHint::default(),
            Self::Http2(_) | Self::None => SizeHint::with_exact(0),
        }
    }
}
