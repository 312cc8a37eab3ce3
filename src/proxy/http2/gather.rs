//! Gather: while h2 has its turn, what it writes stays with TLS, and goes out in one call to the system at the end of the turn.
//! h2 flushes after each DATA frame, which is a call and a packet for every 16 KiB of an answer.
//!
//! What it promises: nothing waits beyond the turn, nor more than TLS takes: then it goes out in between.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::proxy::hold::Holds;

/// A turn of h2, as who gives it and the I/O beneath see it.
#[derive(Debug, Default)]
pub(super) struct Turn {
    lasts: Cell<bool>,
    owes: Cell<bool>,
}

/// An I/O above TLS that follows the turns.
#[derive(Debug)]
pub(super) struct Gather<IO> {
    io: IO,
    turn: Rc<Turn>,
}

impl Turn {
    /// From now on what is written is gathered.
    pub(super) fn begin(&self) {
        self.lasts.set(true);
    }

    /// It is over. True where something is to be flushed, for which h2 is to be asked once more.
    pub(super) fn end(&self) -> bool {
        self.lasts.set(false);
        self.owes.get()
    }
}

impl<IO: Holds> Gather<IO> {
    /// Outside of turns it gathers nothing.
    pub(super) fn new(io: IO) -> (Self, Rc<Turn>) {
        let turn = Rc::new(Turn::default());
        (Self { io, turn: Rc::clone(&turn) }, turn)
    }

    fn before_write(&mut self) {
        self.io.gather(self.turn.lasts.get());
        self.turn.owes.set(true);
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Gather<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buf)
    }
}

impl<IO: AsyncWrite + Holds + Unpin> AsyncWrite for Gather<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.before_write();
        Pin::new(&mut this.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.before_write();
        Pin::new(&mut this.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.turn.lasts.get() && this.io.gathers() {
            return Poll::Ready(Ok(()));
        }
        this.io.gather(false);
        ready!(Pin::new(&mut this.io).poll_flush(cx))?;
        this.turn.owes.set(false);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.io.gather(false);
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
    use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

    use super::*;
    use crate::proxy::hold::Hold;

    /// An I/O that counts what it is asked to write.
    #[derive(Debug)]
    struct Counting {
        io: DuplexStream,
        writes: Rc<Cell<usize>>,
    }

    impl AsyncRead for Counting {
        fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().io).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Counting {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.writes.set(self.writes.get() + 1);
            Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
        }

        fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
            // A pipe takes one buffer at a time, which a socket does not.
            let whole: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
            self.poll_write(cx, &whole)
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().io).poll_flush(cx)
        }

        fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
        }
    }

    struct Stand {
        near: Gather<server::TlsStream<Hold<Counting>>>,
        turn: Rc<Turn>,
        far: client::TlsStream<DuplexStream>,
        writes: Rc<Cell<usize>>,
    }

    /// Two ends after their handshake; the pipe between them has room for `room` octets.
    async fn stand(room: usize) -> Stand {
        let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let client = TlsConnector::from(std::sync::Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()));
        let (near, far) = duplex(room);
        let writes = Rc::new(Cell::new(0));
        let near = Hold::new(Counting { io: near, writes: Rc::clone(&writes) });
        let (near, far) = tokio::join!(
            TlsAcceptor::from(std::sync::Arc::new(config)).accept(near),
            client.connect(ServerName::try_from("a.test").unwrap(), far),
        );
        let mut near = near.unwrap();
        near.get_mut().0.release();
        near.flush().await.unwrap();
        writes.set(0);
        let (near, turn) = Gather::new(near);
        Stand { near, turn, far: far.unwrap(), writes }
    }

    #[tokio::test]
    async fn what_is_written_in_a_turn_goes_out_at_once_at_its_end() {
        let mut at = stand(1 << 20).await;
        at.turn.begin();
        for _ in 0..3 {
            at.near.write_all(&[b'f'; 10_000]).await.unwrap();
            at.near.flush().await.unwrap();
        }
        assert_eq!(at.writes.get(), 0);
        assert!(at.turn.end(), "h2 is to be asked once more");
        at.near.flush().await.unwrap();
        assert_eq!(at.writes.get(), 1);
        at.far.read_exact(&mut [0; 30_000]).await.unwrap();
        at.turn.begin();
        assert!(!at.turn.end(), "nothing was written");
    }

    #[tokio::test]
    async fn a_turn_that_writes_much_is_written_in_between() {
        let mut at = stand(1 << 20).await;
        at.turn.begin();
        for _ in 0..40 {
            at.near.write_all(&[b'f'; 16_000]).await.unwrap();
            at.near.flush().await.unwrap();
        }
        assert!((8..=12).contains(&at.writes.get()), "{}", at.writes.get());
        assert!(at.turn.end());
        at.near.flush().await.unwrap();
        at.far.read_exact(&mut vec![0; 640_000]).await.unwrap();
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_stops_the_turn_and_gets_all_later() {
        let mut at = stand(4096).await;
        at.turn.begin();
        let mut sent = 0;
        while at.near.write_all(&[b'f'; 1000]).now_or_never().is_some() {
            sent += 1000;
            assert!(sent < 1 << 20, "it is kept without bound");
        }
        assert!(at.turn.end());
        let mut come = vec![0; sent];
        let (flushed, read) = tokio::join!(at.near.flush(), at.far.read_exact(&mut come));
        flushed.unwrap();
        assert_eq!(read.unwrap(), sent);
        assert!(!at.turn.end());
    }

    #[tokio::test]
    async fn the_end_of_a_connection_takes_along_what_was_gathered() {
        let mut at = stand(1 << 20).await;
        at.turn.begin();
        at.near.write_all(b"last words").await.unwrap();
        at.near.shutdown().await.unwrap();
        let mut come = Vec::new();
        at.far.read_to_end(&mut come).await.unwrap();
        assert_eq!(come, b"last words");
    }
}
