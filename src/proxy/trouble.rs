//! Trouble: what goes wrong with upstreams and with proxies in front, and what clients try, is told in the log, but not as often as
//! it happens.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::clock::instant;

const APART: Duration = Duration::from_millis(500);

/// Lets one message through every half second and counts the others.
#[derive(Debug, Default)]
pub struct Troubles {
    last: Cell<Option<Instant>>,
    left_out: Cell<u64>,
}

impl Troubles {
    /// Calls `log` with how many messages were left out since the last one, or leaves this one out.
    pub fn tell(&self, log: impl FnOnce(u64)) {
        let now = instant();
        if self.last.get().is_some_and(|last| now.saturating_duration_since(last) < APART) {
            self.left_out.set(self.left_out.get() + 1);
            return;
        }
        self.last.set(Some(now));
        log(self.left_out.take());
    }
}
