//! Patience with clients that take nothing: a connection whose socket accepts no octet for too long is given up.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// An I/O whose writes fail when they have been stuck for `patience`. Reads pass; who waits for them has a clock of its own.
#[derive(Debug)]
pub struct Patient<IO> {
    io: IO,
    patience: Duration,
    /// Runs while a write is stuck.
    stuck: Option<Pin<Box<Sleep>>>,
    signs: Arc<Signs>,
}

/// What a connection shows of its other end.
#[derive(Debug, Default)]
pub struct Signs {
    alive: AtomicBool,
    stuck: AtomicBool,
}

impl Signs {
    /// The client has shown that it is there.
    pub fn show(&self) {
        self.alive.store(true, Relaxed);
    }

    /// Whether the client is there for all that is known: since the last look octets came or a write that was stuck found room;
    /// or a write is stuck now, which has its own clock. A write that finds room at once shows nothing: the system takes it for
    /// a client that is long gone, too.
    pub fn look(&self) -> bool {
        self.alive.swap(false, Relaxed) || self.is_stuck()
    }

    /// Whether there is more to write than the client has taken; for how long that may be is the business of [`Patient`].
    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Relaxed)
    }
}

impl<IO> Patient<IO> {
    /// Watches over the writes of `io`.
    pub fn new(io: IO, patience: Duration) -> Self {
        Self { io, patience, stuck: None, signs: Arc::default() }
    }

    /// What it watches over.
    pub const fn inner(&self) -> &IO {
        &self.io
    }

    /// To look at from elsewhere.
    pub fn signs(&self) -> Arc<Signs> {
        Arc::clone(&self.signs)
    }

    fn check<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            if self.stuck.take().is_some() {
                self.signs.stuck.store(false, Relaxed);
                self.signs.show();
            }
            return outcome;
        }
        self.signs.stuck.store(true, Relaxed);
        let patience = self.patience;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(patience)));
        match stuck.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Patient<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let outcome = Pin::new(&mut this.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            this.signs.show();
        }
        outcome
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Patient<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_write(cx, buf);
        this.check(cx, outcome)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.check(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_flush(cx);
        this.check(cx, outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_shutdown(cx);
        this.check(cx, outcome)
    }
}
