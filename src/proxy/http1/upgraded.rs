//! A client's connection after a 101: the octets that came behind the request first.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Any client's connection.
trait Wire: AsyncRead + AsyncWrite {}

impl<IO: AsyncRead + AsyncWrite> Wire for IO {}

/// What speaks another protocol now (RFC 9110, section 15.2.2).
pub struct Upgraded {
    io: Pin<Box<dyn Wire>>,
    read: BytesMut,
}

impl Upgraded {
    /// `read` came ahead.
    pub(super) fn new(io: impl AsyncRead + AsyncWrite + 'static, read: BytesMut) -> Self {
        Self { io: Box::pin(io), read }
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read.is_empty() {
            return this.io.as_mut().poll_read(cx, buf);
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
        self.get_mut().io.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().io.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().io.as_mut().poll_shutdown(cx)
    }
}
