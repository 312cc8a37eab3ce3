//! A stream of HTTP/2 as octets both ways, for tunnels (RFC 8441, section 5): the end of either direction is END_STREAM, and a
//! duplex that is dropped before both ended resets the stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Octets that one write takes at most.
const CHUNK: usize = 32 * 1024;

/// Both halves of a stream.
pub struct H2Duplex {
    send: SendStream<Bytes>,
    recv: RecvStream,
    /// What was received and not yet read.
    read: Bytes,
    ended: bool,
}

impl H2Duplex {
    /// Of a stream whose heads have passed.
    pub fn new(send: SendStream<Bytes>, recv: RecvStream) -> Self {
        Self { send, recv, read: Bytes::new(), ended: false }
    }
}

impl AsyncRead for H2Duplex {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.read.is_empty() {
            match ready!(this.recv.poll_data(cx)) {
                Some(Ok(data)) => this.read = data,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = this.read.len().min(buf.remaining());
        buf.put_slice(&this.read[..count]);
        this.read.advance(count);
        // The peer may send as much again; a stream that has ended needs no window.
        let _ = this.recv.flow_control().release_capacity(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for H2Duplex {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Poll::Ready(reason) = this.send.poll_reset(cx) {
            let text = reason.map_or_else(|error| error.to_string(), |reason| reason.to_string());
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, text)));
        }
        this.send.reserve_capacity(buf.len().min(CHUNK));
        while this.send.capacity() == 0 && !buf.is_empty() {
            match ready!(this.send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let count = this.send.capacity().min(buf.len());
        this.send.send_data(Bytes::copy_from_slice(&buf[..count]), false).map_err(io::Error::other)?;
        Poll::Ready(Ok(count))
    }

    /// The connection's own task writes.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.ended {
            this.ended = true;
            this.send.reserve_capacity(0);
            this.send.send_data(Bytes::new(), true).map_err(io::Error::other)?;
        }
        Poll::Ready(Ok(()))
    }
}
