//! WebSocket over an HTTP/2 upstream: what comes as HTTP/1.1's upgrade goes out as extended CONNECT, and a success comes back
//! as a 101 (RFC 8441, section 5).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use h2::RecvStream;
use h2::ext::Protocol;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::websocket_accept;
use super::duplex::H2Duplex;
use super::lease::Lease;

/// It has no meaning over HTTP/2.
const KEY: HeaderName = header::SEC_WEBSOCKET_KEY;

/// The key of a request that asks for a WebSocket.
pub(super) fn key(parts: &Parts) -> Option<HeaderValue> {
    let asks = parts.method == Method::GET
        && parts.headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    parts.headers.get(KEY).filter(|_| asks).cloned()
}

/// Turns the request for an upgrade into extended CONNECT; fields of the connection are gone already.
pub(super) fn make_connect(head: &mut Request<()>) {
    *head.method_mut() = Method::CONNECT;
    head.headers_mut().remove(KEY);
    head.extensions_mut().insert(Protocol::from_static("websocket"));
}

/// Turns the fields of a success into those of a 101.
pub(super) fn make_switch(headers: &mut HeaderMap, key: &HeaderValue) {
    // What frames a body has no meaning in the answer to CONNECT.
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::try_from(websocket_accept(key.as_bytes())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
}

/// A stream that carries octets both ways, as one of those that its connection may have.
pub(in crate::upstream) struct Tunnel {
    duplex: H2Duplex,
    /// Given back after the stream.
    _lease: Lease,
}

impl Tunnel {
    pub(super) fn new(send: h2::SendStream<bytes::Bytes>, recv: RecvStream, lease: Lease) -> Self {
        Self { duplex: H2Duplex::new(send, recv), _lease: lease }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().duplex).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().duplex).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().duplex).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().duplex).poll_shutdown(cx)
    }
}
