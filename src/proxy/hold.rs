//! Hold: octets that may go out with those that follow, where both are under way: the end of a handshake with the first answer,
//! the last answer with the word that the connection ends. A call to the system and a packet cost more than most answers.
//!
//! What it promises: nothing waits that the other end waits for: before this end waits for it to send, all has gone out. Only
//! what is left with TLS while more is gathered is for who asked for that to send.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use super::patience::Patient;

/// More than this is never held.
const MOST: usize = 16 * 1024;

/// Fewer octets than this are not written while more are gathered. TLS takes twice as many before it takes no more.
const ENOUGH: usize = 56 * 1024;

/// A connection that can be told to hold what is written.
pub trait Holds {
    /// From now on, until it is told otherwise, or all is written.
    fn hold(&mut self) {}

    /// Whether writes of little are left with TLS above, which offers them again with what follows. Who asks for it ends it and
    /// flushes before it waits for anything, since nobody is woken for what was left there.
    fn gather(&mut self, _gathers: bool) {}

    /// Whether it does.
    fn gathers(&self) -> bool {
        false
    }
}

/// One that does, beneath TLS.
#[derive(Debug)]
pub struct Hold<IO: AsyncWrite + Unpin> {
    io: IO,
    held: Vec<u8>,
    holds: bool,
    gathers: bool,
}

impl<IO: AsyncWrite + Unpin> Hold<IO> {
    /// Holds at once.
    pub const fn new(io: IO) -> Self {
        Self { io, held: Vec::new(), holds: true, gathers: false }
    }

    /// What is written from now on goes out, behind what is held.
    pub const fn release(&mut self) {
        self.holds = false;
    }

    /// What is beneath.
    pub const fn inner(&self) -> &IO {
        &self.io
    }

    /// Writes what is held.
    fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, &self.held))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.drain(..count);
        }
        // A connection that waits keeps no memory.
        self.held = Vec::new();
        Poll::Ready(Ok(()))
    }

    /// Takes octets in behind what is held; None where they are to be written as they are.
    fn poll_take(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<Option<usize>>> {
        let count = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        if self.gathers && count < ENOUGH {
            return Poll::Pending;
        }
        let waits = self.holds || !self.held.is_empty();
        if waits && self.held.len() + count <= MOST {
            bufs.iter().for_each(|buf| self.held.extend_from_slice(buf));
            if !self.holds
                && let Poll::Ready(pushed) = self.poll_push(cx)
            {
                pushed?;
            }
            return Poll::Ready(Ok(Some(count)));
        }
        self.poll_push(cx).map_ok(|()| None)
    }
}

impl<IO: AsyncWrite + Unpin> Drop for Hold<IO> {
    fn drop(&mut self) {
        // Such as the alert that tells why a handshake failed. Where there is no room for it, nobody waits for it.
        let _ = self.poll_push(&mut Context::from_waker(Waker::noop()));
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Hold<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_read(cx, buf);
        if outcome.is_pending()
            && !this.held.is_empty()
            && let Poll::Ready(pushed) = this.poll_push(cx)
        {
            pushed?;
        }
        outcome
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Hold<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match ready!(this.poll_take(cx, &[IoSlice::new(buf)]))? {
            Some(count) => Poll::Ready(Ok(count)),
            None => Pin::new(&mut this.io).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match ready!(this.poll_take(cx, bufs))? {
            Some(count) => Poll::Ready(Ok(count)),
            None => Pin::new(&mut this.io).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.holds {
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_push(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.holds = false;
        ready!(this.poll_push(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

impl<IO: AsyncWrite + Unpin> Holds for Hold<IO> {
    fn hold(&mut self) {
        self.holds = true;
    }

    fn gather(&mut self, gathers: bool) {
        self.gathers = gathers;
    }

    fn gathers(&self) -> bool {
        self.gathers
    }
}

impl<IO> Holds for Patient<IO> {}

impl<IO: Holds> Holds for TlsStream<IO> {
    fn hold(&mut self) {
        self.get_mut().0.hold();
    }

    fn gather(&mut self, gathers: bool) {
        self.get_mut().0.gather(gathers);
    }

    fn gathers(&self) -> bool {
        self.get_ref().0.gathers()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// What is there to read by now.
    fn has_come(far: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
        let mut octets = vec![0; 64 * 1024];
        let count = far.read(&mut octets).now_or_never().map_or(0, Result::unwrap);
        octets.truncate(count);
        octets
    }

    #[tokio::test]
    async fn what_is_held_goes_out_before_the_other_end_is_waited_for() {
        let (near, mut far) = duplex(64 * 1024);
        let mut near = Hold::new(near);
        near.write_all(b"flight").await.unwrap();
        near.flush().await.unwrap();
        assert_eq!(has_come(&mut far), b"", "it is held, flushed or not");
        far.write_all(b"x").await.unwrap();
        near.read_exact(&mut [0]).await.unwrap();
        assert_eq!(has_come(&mut far), b"", "there was something to read");
        assert!(near.read(&mut [0]).now_or_never().is_none());
        assert_eq!(has_come(&mut far), b"flight");
    }

    #[tokio::test]
    async fn what_is_held_goes_out_in_front_of_what_follows_and_at_the_end() {
        let (near, mut far) = duplex(64 * 1024);
        let mut near = Hold::new(near);
        near.write_all(b"ticket ").await.unwrap();
        near.release();
        near.write_all(b"answer").await.unwrap();
        assert_eq!(has_come(&mut far), b"ticket answer");
        near.hold();
        near.write_all(b"last ").await.unwrap();
        near.write_all(b"word").await.unwrap();
        assert_eq!(has_come(&mut far), b"");
        near.shutdown().await.unwrap();
        assert_eq!(has_come(&mut far), b"last word");
    }

    #[tokio::test]
    async fn what_is_too_much_to_hold_goes_out_in_order() {
        let (near, mut far) = duplex(64 * 1024);
        let mut near = Hold::new(near);
        near.write_all(b"a").await.unwrap();
        near.write_all(&[b'b'; MOST]).await.unwrap();
        let come = has_come(&mut far);
        assert_eq!((come.len(), come[0], come[MOST]), (MOST + 1, b'a', b'b'));
    }

    #[tokio::test]
    async fn a_full_socket_takes_the_rest_once_it_has_room() {
        let (near, mut far) = duplex(4);
        let mut near = Hold::new(near);
        near.write_all(b"ticket ").await.unwrap();
        near.release();
        near.write_all(b"answer").await.unwrap();
        assert!(near.flush().now_or_never().is_none(), "there is room for four");
        let mut octets = [0; 13];
        let (flushed, read) = tokio::join!(near.flush(), far.read_exact(&mut octets));
        flushed.and(read).unwrap();
        assert_eq!(&octets, b"ticket answer");
    }

    #[tokio::test]
    async fn little_is_left_with_who_offers_it_while_more_is_gathered() {
        let (near, mut far) = duplex(2 * ENOUGH);
        let mut near = Hold::new(near);
        near.release();
        near.gather(true);
        assert!(near.write(b"frame").now_or_never().is_none());
        assert!(near.write(&vec![b'f'; ENOUGH - 1]).now_or_never().is_none());
        assert_eq!(near.write(&vec![b'f'; ENOUGH]).await.unwrap(), ENOUGH, "this is enough");
        near.gather(false);
        assert_eq!(near.write(b"rest").await.unwrap(), 4);
        assert_eq!(has_come(&mut far).len(), ENOUGH + 4);
    }

    #[tokio::test]
    async fn the_reason_of_a_failed_handshake_goes_out_though_nobody_flushes() {
        let (near, mut far) = duplex(64);
        let mut near = Hold::new(near);
        near.write_all(b"alert").await.unwrap();
        drop(near);
        assert_eq!(has_come(&mut far), b"alert");
    }
}
