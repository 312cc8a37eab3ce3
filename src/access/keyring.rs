//! Keyrings: the keys of an issuer as they are known now. Who verifies reads them without waiting; who fetches them replaces them
//! whole. Keys that cannot be fetched again stay as they are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use super::key_set::{KeySet, KeySetError};
use crate::model::KeySource;

/// After a failure the next attempt waits this long, then twice as long, and so on.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest of these waits.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How often keys are fetched.
#[derive(Debug, Clone, Copy)]
pub struct Rhythm {
    /// Where nothing asks for them.
    pub every: Duration,
    /// At the soonest after the last attempt, where a token names a key that is not known.
    pub at_most_every: Duration,
}

/// The keys of one issuer.
pub struct Keyring {
    /// Whose.
    pub issuer: String,
    /// Where they come from.
    pub source: KeySource,
    set: ArcSwapOption<KeySet>,
    is_wanted: AtomicBool,
    wake: Arc<Notify>,
    plan: Mutex<Plan>,
}

/// When the next attempt is due.
#[derive(Debug, Default)]
struct Plan {
    last: Option<Instant>,
    due: Option<Instant>,
    failures: u32,
    is_running: bool,
    trouble: Option<String>,
}

impl Keyring {
    /// Keys that are still to be fetched, or were given. `wake` is told when they are wanted.
    pub fn new(issuer: String, source: KeySource, wake: Arc<Notify>) -> Result<Self, KeySetError> {
        let set = match &source {
            KeySource::Given(given) => Some(Arc::new(KeySet::given(given.clone())?)),
            KeySource::Discovered | KeySource::Url(_) => None,
        };
        let ring = Self { issuer, source, set: ArcSwapOption::new(set), is_wanted: AtomicBool::new(false), wake, plan: Mutex::default() };
        Ok(ring)
    }

    /// The keys; `None` where they were never fetched.
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.set.load_full()
    }

    /// What an earlier process had fetched, until this one has.
    pub fn restore(&self, set: KeySet) {
        self.set.store(Some(Arc::new(set)));
    }

    /// Asks for the keys to be fetched again. Whoever fetches decides when.
    pub fn want(&self) {
        if !matches!(self.source, KeySource::Given(_)) && !self.is_wanted.swap(true, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// When they are to be fetched next; `None` while they are, and where they never change.
    pub fn due(&self, rhythm: Rhythm, now: Instant) -> Option<Instant> {
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if plan.is_running || matches!(self.source, KeySource::Given(_)) {
            return None;
        }
        let Some(last) = plan.last else { return Some(now) };
        let regular = plan.due.unwrap_or(last + rhythm.every);
        let asked = last + rhythm.at_most_every;
        Some(if self.is_wanted.load(Ordering::Acquire) { regular.min(asked) } else { regular })
    }

    /// An attempt begins.
    pub fn begin(&self, now: Instant) {
        // What is asked for from now on is answered by the next attempt.
        self.is_wanted.store(false, Ordering::Release);
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        (plan.last, plan.is_running) = (Some(now), true);
    }

    /// It has brought these keys, which are good for `fresh`. True where they differ from those before.
    pub fn fetched(&self, set: KeySet, now: Instant, fresh: Duration) -> bool {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        (plan.is_running, plan.failures, plan.trouble, plan.due) = (false, 0, None, Some(now + fresh));
        let is_new = self.set.load().as_ref().is_none_or(|known| !known.is_same(&set));
        if is_new {
            self.set.store(Some(Arc::new(set)));
        }
        is_new
    }

    /// It has failed. True where the one before had not.
    pub fn failed(&self, now: Instant, trouble: String) -> bool {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = FIRST_PAUSE.saturating_mul(1 << plan.failures.min(10)).min(LONGEST_PAUSE);
        plan.is_running = false;
        plan.failures = plan.failures.saturating_add(1);
        plan.due = Some(now + pause);
        plan.trouble.replace(trouble).is_none()
    }

    /// Why the last attempt failed.
    pub fn trouble(&self) -> Option<String> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).trouble.clone()
    }
}
