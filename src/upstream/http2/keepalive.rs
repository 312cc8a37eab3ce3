//! Whether the other end of a connection is still there: asked with a PING when it was silent while streams were open.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use h2::{Ping, PingPong};

use super::super::connection::Timer;
use crate::clock;

/// When a PING is sent, and how long its answer may take.
#[derive(Debug, Clone, Copy)]
pub(in crate::upstream) struct Tempo {
    /// Silence before the first PING.
    pub(in crate::upstream) silence: Duration,
    /// Silence before another, where nothing but the answer to the last one came. gRPC servers close connections that are asked
    /// more often than every five minutes while they have nothing to say.
    pub(in crate::upstream) calm: Duration,
    /// What the answer may take.
    pub(in crate::upstream) patience: Duration,
}

impl Default for Tempo {
    fn default() -> Self {
        Self { silence: Duration::from_secs(20), calm: Duration::from_secs(310), patience: Duration::from_secs(10) }
    }
}

enum Phase {
    /// No stream is open: nobody waits for anything.
    Unused,
    /// Something came at this time; and whether that was only the answer to a PING.
    Quiet(Instant, bool),
    /// A PING was sent then.
    Asked(Instant),
}

/// The watch over one connection.
pub(super) struct Keepalive {
    tempo: Tempo,
    pings: Option<PingPong>,
    phase: Phase,
    timer: Timer,
    /// Set by each read that found something.
    heard: Rc<Cell<bool>>,
}

impl Keepalive {
    pub(super) fn new(tempo: Tempo, pings: Option<PingPong>, heard: Rc<Cell<bool>>) -> Self {
        Self { tempo, pings, phase: Phase::Unused, timer: Timer::default(), heard }
    }

    /// Ready when the other end did not answer in time. `used` says whether streams are open.
    pub(super) fn poll_dead(&mut self, cx: &mut Context<'_>, used: bool) -> Poll<()> {
        let Some(pings) = &mut self.pings else { return Poll::Pending };
        loop {
            let heard = self.heard.take();
            match &self.phase {
                Phase::Asked(_) if pings.poll_pong(cx).is_ready() => {
                    // What was heard was the answer, or came with it.
                    self.phase = Phase::Quiet(clock::instant(), true);
                }
                Phase::Asked(_) if heard => self.phase = Phase::Asked(clock::instant()),
                Phase::Unused if !used => return Poll::Pending,
                Phase::Quiet(..) if !used => {
                    self.phase = Phase::Unused;
                    return Poll::Pending;
                }
                Phase::Unused => self.phase = Phase::Quiet(clock::instant(), false),
                Phase::Quiet(..) if heard => self.phase = Phase::Quiet(clock::instant(), false),
                Phase::Quiet(since, calm) => {
                    let wait = if *calm { self.tempo.calm } else { self.tempo.silence };
                    if self.timer.poll_deadline(cx, *since + wait).is_pending() {
                        return Poll::Pending;
                    }
                    // It fails only where the connection is over, which shows elsewhere.
                    let _ = pings.send_ping(Ping::opaque());
                    self.phase = Phase::Asked(clock::instant());
                }
                Phase::Asked(since) => return self.timer.poll_deadline(cx, *since + self.tempo.patience),
            }
        }
    }
}
