//! The body of a request as its version of HTTP hands it in.

use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::http2::Side;

/// A request's body.
pub enum Inbound {
    /// Over HTTP/1.1.
    Http1(Incoming),
    /// Over HTTP/2.
    Http2(StreamBody),
    /// What a request for a WebSocket over HTTP/2 has: what follows it belongs to the tunnel.
    None,
}

/// A body over HTTP/2.
pub struct StreamBody {
    stream: RecvStream,
    at: At,
    /// Whom to tell that the body is wanted, where the client waits to hear it (RFC 9110, section 10.1.1).
    awaited: Option<Rc<Side>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Data,
    Trailers,
    End,
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

impl StreamBody {
    /// `awaited` is given where the client waits for a 100 before it sends.
    pub fn new(stream: RecvStream, awaited: Option<Rc<Side>>) -> Self {
        let at = if stream.is_end_stream() { At::End } else { At::Data };
        Self { stream, at, awaited }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if let Some(side) = self.awaited.take() {
            side.inform(interim(StatusCode::CONTINUE));
        }
        if self.at == At::Data {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // Whoever asks for a piece takes it; the client may send as much again.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    if self.stream.is_end_stream() {
                        self.at = At::End;
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => {
                    self.at = At::End;
                    return Poll::Ready(Some(Err(error)));
                }
                None => self.at = At::Trailers,
            }
        }
        if self.at == At::Trailers {
            let trailers = ready!(self.stream.poll_trailers(cx));
            self.at = At::End;
            return Poll::Ready(trailers.transpose().map(|trailers| trailers.map(Frame::trailers)));
        }
        Poll::Ready(None)
    }
}

fn interim(status: StatusCode) -> http::Response<()> {
    let mut response = http::Response::new(());
    *response.status_mut() = status;
    response
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
            Self::Http2(body) => body.at == At::End,
            Self::None => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(incoming) => incoming.size_hint(),
            Self::Http2(body) if body.at != At::End => SizeHint::default(),
            Self::Http2(_) | Self::None => SizeHint::with_exact(0),
        }
    }
}
