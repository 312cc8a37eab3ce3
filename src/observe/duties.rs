//! Duties: what the gateway does by itself again and again, and how each of them is doing, for whoever asks.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use crate::model::Millis;

/// The duties that metering and changes hang on.
#[derive(Debug, Default)]
pub struct Duties {
    /// The store takes changes.
    pub store: Duty,
    /// Usage goes from the journal to the store.
    pub fold: Duty,
    /// The journal has room ahead of its need.
    pub journal: Duty,
    /// What is due in billing is done.
    pub billing: Duty,
}

/// One duty, done in turns.
#[derive(Debug, Default)]
pub struct Duty(Mutex<Standing>);

/// How a duty is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Since when it fails, and why.
    pub failing: Option<Failing>,
    /// When a turn last went well.
    pub last_success: Option<Millis>,
    /// Turns that failed since the process began.
    pub failures: u64,
}

/// A duty that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// Since when, through all the turns that failed.
    pub since: Millis,
    /// Why the latest of them did.
    pub reason: String,
}

/// What a turn has changed, to be said once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It fails from now on.
    Fails,
    /// It works again.
    Recovers,
    /// As it was.
    Same,
}

/// The room of the usage journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalRoom {
    /// Tenants' days that it still takes.
    pub free_slots: u64,
    /// Files that nobody has a slot in, the spare included.
    pub unused_segments: u64,
    /// Reports that it still takes.
    pub free_reports: u64,
}

impl Duty {
    /// A turn ended at `now`.
    pub fn ended<T, E: Display>(&self, now: Millis, outcome: &Result<T, E>) -> Turn {
        match outcome {
            Err(error) => self.with(|standing| {
                standing.failures += 1;
                standing.fails(now, error)
            }),
            Ok(_) => self.with(|standing| {
                standing.last_success = Some(now);
                if standing.failing.take().is_some() { Turn::Recovers } else { Turn::Same }
            }),
        }
    }

    /// A turn that began at `since` should have ended by now, and may still end well.
    pub fn overdue(&self, since: Millis, reason: impl Display) -> Turn {
        self.with(|standing| standing.fails(since, reason))
    }

    /// How it is doing.
    pub fn standing(&self) -> Standing {
        self.with(|standing| standing.clone())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Standing) -> T) -> T {
        // Nothing under it panics half-way through a change.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Standing {
    fn fails(&mut self, now: Millis, reason: impl Display) -> Turn {
        let (since, turn) = self.failing.as_ref().map_or((now, Turn::Fails), |failing| (failing.since, Turn::Same));
        self.failing = Some(Failing { since, reason: reason.to_string() });
        turn
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_failure_begins_once_keeps_its_beginning_tells_its_latest_reason_and_ends_once() {
        let duty = Duty::default();
        let failed = |reason| Err::<(), &str>(reason);
        assert_eq!(duty.ended(Millis(1), &Ok::<(), &str>(())), Turn::Same);
        assert_eq!(duty.overdue(Millis(2), "it takes long"), Turn::Fails);
        assert_eq!(duty.ended(Millis(9), &failed("full")), Turn::Same);
        assert_eq!(duty.ended(Millis(10), &failed("gone")), Turn::Same);
        let standing = duty.standing();
        assert_eq!(standing.failing.unwrap(), Failing { since: Millis(2), reason: "gone".to_owned() });
        assert_eq!((standing.last_success, standing.failures), (Some(Millis(1)), 2));
        assert_eq!(duty.ended(Millis(11), &Ok::<(), &str>(())), Turn::Recovers);
        assert_eq!(duty.ended(Millis(12), &Ok::<(), &str>(())), Turn::Same);
        assert_eq!(duty.standing(), Standing { failing: None, last_success: Some(Millis(12)), failures: 2 });
    }
}
