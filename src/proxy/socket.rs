//! A client's socket in clear. HTTP/1.0 knows the end of a body without a length by the end of the connection alone; where that
//! body is cut short, the connection is reset, so that it does not look whole (RFC 9112, section 8). TLS has its own word for an
//! end that is in order, and HTTP/1.1 its chunks.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::http1::State;

/// Closed when it is dropped, or reset.
pub struct Socket {
    tcp: TcpStream,
    state: Rc<State>,
}

impl Socket {
    /// The socket itself.
    pub const fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Of the connection with this state.
    pub const fn new(tcp: TcpStream, state: Rc<State>) -> Self {
        Self { tcp, state }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.state.is_open_ended() {
            // Where this fails the connection has failed already.
            let _ = SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}
