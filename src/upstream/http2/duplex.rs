//! One HTTP/2 stream as a pair of octet streams (RFC 8441, section 5): END_STREAM is the end of a direction, and each
//! direction waits for its window.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Octets that one write hands over.
const MAX_WRITE: usize = 64 * 1024;

/// What a stream of either side carries after an accepted extended CONNECT.
///
/// A reset by the peer is an error of kind `ConnectionReset`. Dropped before both directions have ended, the stream is
/// reset: with CANCEL, or NO_ERROR at a server that had ended its own direction (RFC 9113, section 8.1).
pub struct H2Duplex<B: Buf = Bytes> {
    send: SendStream<B>,
    recv: RecvStream,
    /// What has come and was not yet read; its window is given back as it is.
    read: Bytes,
    /// END_STREAM was handed over.
    ended: bool,
}

impl<B: Buf> H2Duplex<B> {
    /// `send` must not have ended yet.
    pub fn new(send: SendStream<B>, recv: RecvStream) -> Self {
        Self { send, recv, read: Bytes::new(), ended: false }
    }

    /// Why nothing can be written any more.
    fn fault(&mut self, cx: &mut Context<'_>) -> io::Error {
        if self.ended {
            return io::Error::new(io::ErrorKind::BrokenPipe, "the stream was ended before");
        }
        match self.send.poll_reset(cx) {
            Poll::Ready(Ok(reason)) => io::Error::new(io::ErrorKind::ConnectionReset, h2::Error::from(reason)),
            Poll::Ready(Err(error)) => fault_of(error),
            Poll::Pending => io::ErrorKind::BrokenPipe.into(),
        }
    }
}

/// With the reset's reason kept inside.
fn fault_of(error: h2::Error) -> io::Error {
    if error.is_io() {
        return error.into_io().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
    }
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

impl<B: Buf> AsyncRead for H2Duplex<B> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while this.read.is_empty() {
            match ready!(this.recv.poll_data(cx)) {
                Some(Ok(data)) => this.read = data,
                Some(Err(error)) => return Poll::Ready(Err(fault_of(error))),
                // Trailers have no meaning here.
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = this.read.len().min(buf.remaining());
        buf.put_slice(&this.read[..count]);
        this.read.advance(count);
        // A stream that is over needs no window.
        let _ = this.recv.flow_control().release_capacity(count);
        Poll::Ready(Ok(()))
    }
}

impl<B: Buf + From<Bytes>> AsyncWrite for H2Duplex<B> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        this.send.reserve_capacity(buf.len().min(MAX_WRITE));
        let room = loop {
            // It tells of growth only: what is there already must be asked for first.
            match this.send.capacity() {
                0 => match ready!(this.send.poll_capacity(cx)) {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Poll::Ready(Err(fault_of(error))),
                    None => return Poll::Ready(Err(this.fault(cx))),
                },
                room => break room,
            }
        };
        let count = room.min(buf.len());
        match this.send.send_data(Bytes::copy_from_slice(&buf[..count]).into(), false) {
            Ok(()) => Poll::Ready(Ok(count)),
            Err(_) => Poll::Ready(Err(this.fault(cx))),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection's own task writes what was handed over.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(Ok(()));
        }
        match this.send.send_data(Bytes::new().into(), true) {
            Ok(()) => {
                this.ended = true;
                Poll::Ready(Ok(()))
            }
            Err(_) => Poll::Ready(Err(this.fault(cx))),
        }
    }
}
