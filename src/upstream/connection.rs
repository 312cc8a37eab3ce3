//! One connection to an upstream with what it has read, and the words for what can go wrong on it.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::BytesMut;
use tokio::time::Sleep;
use tokio_util::io::poll_read_buf;

use super::client_tls::TlsFault;
use super::stream::Stream;
use super::{BoxError, Target};

/// Octets that one read asks for.
pub(super) const CHUNK: usize = 64 * 1024;

/// How far a request has come; readable by whoever owns it, also after the future of `send` was dropped.
#[derive(Debug, Default)]
pub struct Progress {
    head_sent: Cell<bool>,
}

impl Progress {
    /// True once any octet of the request head was handed to the upstream's socket.
    pub fn head_sent(&self) -> bool {
        self.head_sent.get()
    }

    pub(super) fn set_head_sent(&self) {
        self.head_sent.set(true);
    }
}

/// Why there is no response head.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No address is known.
    #[error("no address is known for {0}")]
    NoAddress(String),
    /// No address took the connection.
    #[error("{0}")]
    Unreachable(String),
    /// The connection stood, but TLS on it did not.
    #[error("{1}")]
    Tls(TlsFault, String),
    /// Connecting took longer than `connect_timeout`.
    #[error("{0}")]
    ConnectTimeout(String),
    /// No response head within `response_timeout`.
    #[error("{0}")]
    ResponseTimeout(String),
    /// The connection closed before a response head.
    #[error("{0}")]
    Closed(String),
    /// What came was not HTTP.
    #[error("{0}")]
    Garbage(String),
    /// The upstream reset the stream before a response head (HTTP/2).
    #[error("{text}")]
    Reset {
        /// The reason it gave.
        reason: h2::Reason,
        /// For the log.
        text: String,
    },
    /// The upstream cannot switch to the protocol that was asked for.
    #[error("{0}")]
    NoUpgrade(String),
    /// No octet of the client's body came within `response_timeout`; the client is to blame.
    #[error("the client sent nothing of its body for too long")]
    BodyStalled,
    /// The client's body failed; the client is to blame.
    #[error("{0}")]
    RequestBody(BoxError),
}

impl SendError {
    /// The same for another who waited for the same connection.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::NoAddress(text) => Self::NoAddress(text.clone()),
            Self::ConnectTimeout(text) => Self::ConnectTimeout(text.clone()),
            Self::Tls(fault, text) => Self::Tls(*fault, text.clone()),
            other => Self::Unreachable(other.to_string()),
        }
    }
}

/// A connection, used by one request at a time.
pub(super) struct Connection {
    pub(super) stream: Stream,
    /// What was read and not yet used. It has no memory while the connection is idle.
    pub(super) read: BytesMut,
    pub(super) timer: Timer,
    pub(super) target: Arc<Target>,
    /// Whether it has served a request before this one.
    pub(super) reused: bool,
    /// When it was taken for the present request.
    pub(super) taken: Instant,
    address: SocketAddr,
    /// The target's addresses for which `address` was last found among them.
    version: u64,
}

impl Connection {
    /// In a box, for it goes from hand to hand with every request.
    pub(super) fn new(stream: Stream, target: Arc<Target>, address: SocketAddr, now: Instant) -> Box<Self> {
        let version = target.version();
        Box::new(Self { stream, read: BytesMut::new(), timer: Timer::default(), target, reused: false, taken: now, address, version })
    }

    /// Whether it may be used for another request: the peer is silent, and its address is still one of the target's.
    pub(super) fn is_usable(&mut self) -> bool {
        let version = self.target.version();
        if self.version != version {
            if !self.target.has_address(self.address) {
                return false;
            }
            self.version = version;
        }
        self.stream.is_quiet()
    }

    /// Lets go of the timer and of the tasks that it and the socket would wake. Done a while after the last use only:
    /// a busy connection keeps its timer.
    pub(super) fn rest(&mut self) {
        if self.timer.disarm() {
            self.stream.forget_task();
        }
    }

    /// Reads more; 0 is the end of the stream.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // An unused part of a message stays in front; it is small, unless it is the head or trailer section itself.
        let room = if self.read.is_empty() { CHUNK } else { CHUNK / 8 };
        self.read.reserve(room);
        Poll::Ready(Ok(ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.read))?))
    }
}

/// A timer that outlives its deadlines. Setting the runtime's timer costs more than leaving it: it stays armed from request to
/// request, goes off once in a while for a deadline that was long met, and is then set to the present one.
#[derive(Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    /// Ready once `deadline` has passed.
    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let deadline = tokio::time::Instant::from_std(deadline);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }

    /// False if it was not armed.
    fn disarm(&mut self) -> bool {
        self.sleep.take().is_some()
    }
}
