//! A connection or a stream after a 101: octets both ways, those that came with the head first.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::http2::Tunnel;
use super::stream::Stream;

/// What speaks another protocol after a 101 (RFC 9110, section 15.2.2).
pub struct Upgraded {
    transport: Transport,
    /// What was read beyond the head.
    read: BytesMut,
}

enum Transport {
    Connection(Stream),
    Stream(Box<Tunnel>),
}

impl Upgraded {
    pub(super) const fn new(stream: Stream, read: BytesMut) -> Self {
        Self { transport: Transport::Connection(stream), read }
    }

    pub(super) fn tunnel(tunnel: Box<Tunnel>) -> Self {
        Self { transport: Transport::Stream(tunnel), read: BytesMut::new() }
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read.is_empty() {
            return match &mut this.transport {
                Transport::Connection(stream) => Pin::new(stream).poll_read(cx, buf),
                Transport::Stream(tunnel) => Pin::new(tunnel).poll_read(cx, buf),
            };
        }
        let count = this.read.len().min(buf.remaining());
        buf.put_slice(&this.read[..count]);
        this.read.advance(count);
        if this.read.is_empty() {
            this.read = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().transport {
            Transport::Connection(stream) => Pin::new(stream).poll_write(cx, buf),
            Transport::Stream(tunnel) => Pin::new(tunnel).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().transport {
            Transport::Connection(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Transport::Stream(tunnel) => Pin::new(tunnel).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self.transport, Transport::Connection(_))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Connection(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Stream(tunnel) => Pin::new(tunnel).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Connection(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Stream(tunnel) => Pin::new(tunnel).poll_shutdown(cx),
        }
    }
}
