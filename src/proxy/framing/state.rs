//! What the guard, the handler and the accept task of one HTTP/1 connection know together.
//!
//! The guard and the handler run in one task; the accept task only polls [`FramingState::phase`], where a value that is a
//! moment old does no harm. So all loads and stores are relaxed, but for those that make sure that nobody waits for ever.

use std::sync::OnceLock;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::task::AtomicWaker;
use http::Response;

use super::Violation;
use super::interim::Queue;

/// What a connection is doing; times are milliseconds since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Between two requests.
    Idle {
        /// When the last response ended.
        since_ms: u64,
    },
    /// Waiting for the rest of a head, or for the connection's first head.
    ReadingHead {
        /// When the head's first octet came, or the last response ended if that was later; 0 for the first head.
        since_ms: u64,
    },
    /// A request was handed on and its response has not ended.
    InRequest,
}

/// No head has asked for a WebSocket.
const NEVER: u64 = u64::MAX;

/// The state of one connection.
#[derive(Debug)]
pub struct FramingState {
    started: Instant,
    /// 0, or one more than the time when the head that is held back began.
    head_began: AtomicU64,
    /// Heads handed on, the one in place of a bad head included.
    heads: AtomicU64,
    done: AtomicU64,
    done_at: AtomicU64,
    upgrade: AtomicU64,
    /// The answer to that request is 101.
    switched: AtomicBool,
    /// Only the end of the connection would tell the end of the response under way, and that has not been reached.
    open_ended: AtomicBool,
    violation: OnceLock<(u64, Violation)>,
    /// Somebody waits for the end of a response.
    waited_for: AtomicBool,
    waker: AtomicWaker,
    interim: Queue,
}

impl FramingState {
    /// For a connection that was accepted at `started` ([`crate::clock::instant`]).
    pub const fn new(started: Instant) -> Self {
        Self {
            started,
            head_began: AtomicU64::new(0),
            heads: AtomicU64::new(0),
            done: AtomicU64::new(0),
            done_at: AtomicU64::new(0),
            upgrade: AtomicU64::new(NEVER),
            switched: AtomicBool::new(false),
            open_ended: AtomicBool::new(false),
            violation: OnceLock::new(),
            waited_for: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            interim: Queue::new(),
        }
    }

    /// What the connection is doing.
    pub fn phase(&self) -> Phase {
        if self.is_in_flight() {
            return Phase::InRequest;
        }
        let heads = self.heads.load(Relaxed);
        let done_at = self.done_at.load(Relaxed);
        match self.head_began.load(Relaxed) {
            _ if heads == 0 => Phase::ReadingHead { since_ms: 0 },
            0 => Phase::Idle { since_ms: done_at },
            began => Phase::ReadingHead { since_ms: done_at.max(began - 1) },
        }
    }

    /// Milliseconds since the connection was started.
    pub fn elapsed_ms(&self) -> u64 {
        self.ms_at(crate::clock::instant())
    }

    /// The response to one request has ended; to be called once for each request, also for the one in place of a bad head.
    pub fn request_done(&self, now: Instant) {
        self.done_at.store(self.ms_at(now), Relaxed);
        self.done.fetch_add(1, SeqCst);
        // The common case is this load: nobody has sent a second request.
        if self.waited_for.load(SeqCst) && self.waited_for.swap(false, SeqCst) {
            self.waker.wake();
        }
    }

    /// Why the connection's request number `request_index` (from 0) is refused, if it is.
    pub fn violation_of(&self, request_index: u64) -> Option<Violation> {
        self.violation.get().filter(|(index, _)| *index == request_index).map(|(_, violation)| *violation)
    }

    /// Whether request number `request_index` asked for a WebSocket. Nothing after its head is looked at, so every answer
    /// to it but 101 has to say `Connection: close`.
    pub fn upgraded_at(&self, request_index: u64) -> bool {
        self.upgrade.load(Relaxed) == request_index
    }

    /// The answer to the request for a WebSocket is 101: from now on everything passes. To be called before that is read.
    pub fn switch(&self) {
        self.switched.store(true, Relaxed);
    }

    /// Whether the response under way would be cut by an end of the connection that looks like its own.
    pub fn set_open_ended(&self, is_open_ended: bool) {
        self.open_ended.store(is_open_ended, Relaxed);
    }

    /// What was said last of the response under way.
    pub fn is_open_ended(&self) -> bool {
        self.open_ended.load(Relaxed)
    }

    /// Sends an interim response to the client of the request in flight, which speaks HTTP/1.1.
    pub fn inform(&self, interim: &Response<()>) {
        self.interim.push(interim);
    }

    /// Ready when every interim response is written; until then no final one may be handed to hyper.
    pub fn poll_informed(&self, cx: &Context<'_>) -> Poll<()> {
        self.interim.poll_empty(cx)
    }

    pub(super) const fn interim(&self) -> &Queue {
        &self.interim
    }

    /// Whether the connection is no longer one of HTTP.
    pub(super) fn has_switched(&self) -> bool {
        self.switched.load(Relaxed)
    }

    /// Whether a request was handed on whose response has not ended.
    pub(super) fn is_in_flight(&self) -> bool {
        self.heads.load(Relaxed) > self.done.load(Relaxed)
    }

    /// Ready when no request is in flight; otherwise the end of a response wakes the task of `cx`.
    pub(super) fn poll_not_in_flight(&self, cx: &Context<'_>) -> Poll<()> {
        // Here: waker, flag, count of responses. In `request_done`: count, flag, waker. In the one order of all SeqCst steps
        // either this look at the count comes after the addition and sees it, or the addition and thus the other's look at
        // the flag comes after this store: that look sees the flag, and with it the waker.
        self.waker.register(cx.waker());
        self.waited_for.store(true, SeqCst);
        if self.heads.load(Relaxed) > self.done.load(SeqCst) { Poll::Pending } else { Poll::Ready(()) }
    }

    pub(super) fn head_held_back(&self) {
        if self.head_began.load(Relaxed) == 0 {
            self.head_began.store(self.elapsed_ms() + 1, Relaxed);
        }
    }

    pub(super) fn head_passed(&self, upgrade: bool) {
        let index = self.heads.load(Relaxed);
        if upgrade {
            self.upgrade.store(index, Relaxed);
        }
        self.heads.store(index + 1, Relaxed);
        self.head_began.store(0, Relaxed);
    }

    pub(super) fn head_refused(&self, violation: Violation) {
        // Only the first can be stored; the guard hands on nothing after it, so there is no second.
        let _ = self.violation.set((self.heads.load(Relaxed), violation));
        self.head_passed(false);
    }

    fn ms_at(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX - 1)
    }
}
