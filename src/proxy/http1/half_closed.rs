//! A client that has said its last but may still listen (RFC 9112, section 9.6 has servers do the same).
//!
//! In clear, a connection that was closed and one whose client only ended its own side look alike until something is written
//! to it. So the answer under way goes on for a while, and then as long as something of it is written now and then; the write
//! to a client that is gone fails. Over TLS the end of the stream is a close_notify, which clients send when they leave.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// How long a client that has said its last is believed to listen while it gets nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a connection does at the end of its stream.
#[derive(Debug)]
pub(super) enum End {
    /// It has not come, and will mean that the client is gone.
    Final,
    /// It has not come, and will mean that the client says no more.
    Tolerated,
    /// It has come.
    Come(Pin<Box<Sleep>>),
}

impl End {
    /// The stream has ended. False where that means that the client is gone.
    pub(super) fn come(&mut self) -> bool {
        if matches!(self, Self::Tolerated) {
            *self = Self::Come(Box::pin(sleep(PATIENCE)));
        }
        self.has_come()
    }

    pub(super) const fn has_come(&self) -> bool {
        matches!(self, Self::Come(_))
    }

    /// Something is written.
    pub(super) fn lives(&mut self) {
        if let Self::Come(timer) = self {
            timer.set(sleep(PATIENCE));
        }
    }

    /// Ready when the client is believed to be gone.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Come(timer) => timer.as_mut().poll(cx),
            Self::Final | Self::Tolerated => Poll::Pending,
        }
    }
}
