//! The end of a connection whose client may still be sending: closing a socket with unread octets resets the connection, and
//! the client would lose the last answer (RFC 9112, section 9.6). So what comes is thrown away for a while.

use std::future::Future;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Sleep, sleep_until};

use crate::clock::instant;

/// A client that is silent for so long has understood, or never will.
const SILENCE: Duration = Duration::from_secs(2);
/// The most that is waited in all.
const MOST: Duration = Duration::from_secs(10);
/// Without waiting, so much of what has come already is thrown away.
const AT_ONCE: usize = 256 * 1024;

/// Throws away what comes.
#[derive(Debug)]
pub(super) struct Linger {
    /// When it is over, where more is waited for.
    until: Option<Instant>,
    silence: Option<Pin<Box<Sleep>>>,
    at_once: usize,
}

impl Linger {
    /// After this side has said that it is done; `wait` says whether more may come.
    pub(super) fn new(wait: bool) -> Self {
        Self { until: wait.then(|| instant() + MOST), silence: None, at_once: 0 }
    }

    /// Ready when the socket may be closed.
    pub(super) fn poll(&mut self, io: &mut (impl AsyncRead + Unpin), cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [const { MaybeUninit::uninit() }; 4096];
        loop {
            let mut sink = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut *io).poll_read(cx, &mut sink) {
                Poll::Ready(Ok(())) if !sink.filled().is_empty() => self.silence = None,
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.poll_silence(cx),
            }
            match self.until {
                Some(until) if instant() >= until => return Poll::Ready(()),
                Some(_) => {}
                None if self.at_once >= AT_ONCE => return Poll::Ready(()),
                None => self.at_once += sink.filled().len(),
            }
        }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.until else { return Poll::Ready(()) };
        let deadline = || Box::pin(sleep_until((instant() + SILENCE).min(until).into()));
        self.silence.get_or_insert_with(deadline).as_mut().poll(cx)
    }
}
