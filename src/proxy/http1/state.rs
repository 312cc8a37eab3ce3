//! What an HTTP/1.1 connection, the handler of its request and the watch over it know together.
//!
//! All of them run on one thread. The handler may go on in another task than the connection's; whatever it leaves here for the
//! connection then wakes that.

use std::cell::{Cell, RefCell};
use std::task::Waker;
use std::time::Instant;

use http::{Response, StatusCode};
use tokio::sync::oneshot;

use super::upgraded::Upgraded;
use crate::proxy::framing::Violation;

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

/// The state of one connection.
pub struct State {
    started: Instant,
    /// When the head began of which a part has come.
    head_began: Cell<Option<u64>>,
    /// A head was handed on.
    has_begun: Cell<bool>,
    in_flight: Cell<bool>,
    done_at: Cell<u64>,
    /// What is wrong with the request that is handed on.
    violation: Cell<Option<Violation>>,
    /// The last request asked for a WebSocket.
    asked_for_websocket: Cell<bool>,
    tunnel: Cell<Option<oneshot::Sender<Upgraded>>>,
    /// Only the end of the connection would tell the end of the response under way, and that has not been reached.
    open_ended: Cell<bool>,
    /// Interim responses that are not written yet, and whether there may be more.
    interim: RefCell<Vec<u8>>,
    informs: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// The connection's task is at work, and will look at everything here.
    is_polled: Cell<bool>,
}

impl State {
    /// For a connection that was accepted at `started` ([`crate::clock::instant`]).
    pub fn new(started: Instant) -> Self {
        Self {
            started,
            head_began: Cell::default(),
            has_begun: Cell::default(),
            in_flight: Cell::default(),
            done_at: Cell::default(),
            violation: Cell::default(),
            asked_for_websocket: Cell::default(),
            tunnel: Cell::default(),
            open_ended: Cell::default(),
            interim: RefCell::default(),
            informs: Cell::default(),
            waker: RefCell::default(),
            is_polled: Cell::default(),
        }
    }

    /// What the connection is doing.
    pub fn phase(&self) -> Phase {
        if self.in_flight.get() {
            return Phase::InRequest;
        }
        let done_at = self.done_at.get();
        match self.head_began.get() {
            _ if !self.has_begun.get() => Phase::ReadingHead { since_ms: 0 },
            None => Phase::Idle { since_ms: done_at },
            Some(began) => Phase::ReadingHead { since_ms: done_at.max(began) },
        }
    }

    /// The response to the request in flight has ended.
    pub fn request_done(&self, now: Instant) {
        self.done_at.set(self.ms_at(now));
        self.in_flight.set(false);
    }

    /// Why the request that is handed on is refused, if it is.
    pub fn violation(&self) -> Option<Violation> {
        self.violation.get()
    }

    /// Whether the last request asked for a WebSocket. Nothing after its head is looked at, so every answer to it but 101
    /// has to say `Connection: close`.
    pub fn asked_for_websocket(&self) -> bool {
        self.asked_for_websocket.get()
    }

    /// The connection, once the client has heard a 101. It fails where that cannot be.
    pub fn await_tunnel(&self) -> oneshot::Receiver<Upgraded> {
        let (sender, receiver) = oneshot::channel();
        self.tunnel.set(Some(sender));
        receiver
    }

    /// Whether the response under way would be cut by an end of the connection that looks like its own.
    pub fn set_open_ended(&self, is_open_ended: bool) {
        self.open_ended.set(is_open_ended);
    }

    /// What was said last of the response under way.
    pub fn is_open_ended(&self) -> bool {
        self.open_ended.get()
    }

    /// Sends an interim response to the client of the request in flight, which speaks HTTP/1.1; once the final one has begun
    /// it comes too late.
    pub fn inform(&self, interim: &Response<()>) {
        if self.informs.get() {
            super::response::write_interim(interim, &mut self.interim.borrow_mut());
            self.wake();
        }
    }

    /// The client may send the body (RFC 9110, section 10.1.1).
    pub(super) fn inform_continue(&self) {
        let mut proceed = Response::new(());
        *proceed.status_mut() = StatusCode::CONTINUE;
        self.inform(&proceed);
    }

    /// Wakes the connection's task, unless it is at work.
    pub(super) fn wake(&self) {
        if !self.is_polled.get()
            && let Some(waker) = &*self.waker.borrow()
        {
            waker.wake_by_ref();
        }
    }

    /// The connection's task, which is at work.
    pub(super) fn is_polled_by(&self, waker: &Waker) {
        let mut kept = self.waker.borrow_mut();
        if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
    }

    /// Polls a part of the connection's own task.
    pub(super) fn within<T>(&self, poll: impl FnOnce() -> T) -> T {
        self.is_polled.set(true);
        // A panic ends the connection's task, and nobody need wake it any more.
        let polled = poll();
        self.is_polled.set(false);
        polled
    }

    /// Moves the interim responses that wait behind `out`.
    pub(super) fn move_interim(&self, out: &mut Vec<u8>) {
        out.append(&mut self.interim.borrow_mut());
    }

    pub(super) fn has_interim(&self) -> bool {
        !self.interim.borrow().is_empty()
    }

    /// The final response begins.
    pub(super) fn end_interim(&self) {
        self.informs.set(false);
    }

    pub(super) fn take_tunnel(&self) -> Option<oneshot::Sender<Upgraded>> {
        self.tunnel.take()
    }

    pub(super) fn head_held_back(&self) {
        if self.head_began.get().is_none() {
            self.head_began.set(Some(self.ms_at(crate::clock::instant())));
        }
    }

    pub(super) fn head_passed(&self, asks_for_websocket: bool) {
        self.has_begun.set(true);
        self.head_began.set(None);
        self.in_flight.set(true);
        self.informs.set(true);
        self.asked_for_websocket.set(asks_for_websocket);
    }

    pub(super) fn head_refused(&self, violation: Violation) {
        self.violation.set(Some(violation));
        self.head_passed(false);
    }

    fn ms_at(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }
}
