//! One tenant as the data plane sees it: facts that are swapped whole, its limiter, its requests in flight, its usage. What
//! only a tenant with requests needs is made by its first request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};

use super::facts::Facts;
use super::window::DayWindow;
use crate::limits::{Concurrency, RateDecision, RateLimit};
use crate::metering::{Journal, Slot, SlotUnavailable};
use crate::model::{Day, Rate, TenantId};
use crate::store::UsageRow;

/// One tenant in the directory; shared by all workers.
pub struct TenantRuntime {
    id: TenantId,
    facts: ArcSwap<Facts>,
    limiter: ArcSwapOption<RateLimit>,
    concurrency: OnceLock<Arc<Concurrency>>,
    /// None before its first request, where nothing was stored of its month.
    window: OnceLock<ArcSwap<DayWindow>>,
    turn: AtomicUsize,
}

impl TenantRuntime {
    /// A tenant that was just published, with what earlier processes stored of its month.
    pub(super) fn new(facts: Facts, today: Day, rows: &[UsageRow]) -> Self {
        let window = OnceLock::new();
        if !rows.is_empty() {
            window.get_or_init(|| ArcSwap::from_pointee(DayWindow::starting(today, rows)));
        }
        Self {
            id: facts.tenant.id,
            facts: ArcSwap::from_pointee(facts),
            limiter: ArcSwapOption::empty(),
            concurrency: OnceLock::new(),
            window,
            turn: AtomicUsize::new(0),
        }
    }

    /// Its id.
    pub fn id(&self) -> TenantId {
        self.id
    }

    /// Its facts, as of now.
    pub fn facts(&self) -> Guard<Arc<Facts>> {
        self.facts.load()
    }

    /// Its facts, to keep.
    pub fn facts_owned(&self) -> Arc<Facts> {
        self.facts.load_full()
    }

    /// Asks its limiter for one request, and takes it. `rate` is that of its facts.
    pub fn ask_rate(&self, rate: Rate) -> RateDecision {
        if let Some(limiter) = &*self.limiter.load() {
            return limiter.check();
        }
        // Of first requests that meet, or of one that meets a change of the rate, one limiter stays and all ask it.
        let fresh = Arc::new(RateLimit::new(rate));
        let before = self.limiter.compare_and_swap(std::ptr::null(), Some(Arc::clone(&fresh)));
        before.as_ref().unwrap_or(&fresh).check()
    }

    /// Its requests in flight.
    pub fn concurrency(&self) -> &Arc<Concurrency> {
        self.concurrency.get_or_init(Arc::default)
    }

    /// The window of `today`, or of a later day where the clock went back.
    pub fn window(&self, today: Day) -> Arc<DayWindow> {
        let shared = self.window.get_or_init(|| ArcSwap::from_pointee(DayWindow::starting(today, &[])));
        let window = shared.load();
        if window.day() >= today {
            return Arc::clone(&window);
        }
        drop(window);
        shared.rcu(|current| if current.day() >= today { Arc::clone(current) } else { Arc::new(current.rolled_to(today)) });
        shared.load_full()
    }

    /// Moves the window to `today`, where there is one.
    pub(super) fn roll(&self, today: Day) {
        if self.window.get().is_some() {
            self.window(today);
        }
    }

    /// The slot to count in today.
    pub fn slot(&self, journal: &Journal, today: Day) -> Result<Slot, SlotUnavailable> {
        self.window(today).slot(journal, self.id).cloned()
    }

    /// Which of its targets is next, in turn.
    pub fn turn(&self, facts: &Facts) -> usize {
        match facts.targets.len() {
            0 | 1 => 0,
            many => self.turn.fetch_add(1, Ordering::Relaxed) % many,
        }
    }

    /// Swaps the facts; the limiter is rebuilt only where the rate changed, so that a change refills no bucket.
    pub(super) fn update(&self, facts: Facts) {
        let rate = facts.plan.rate;
        let before = self.facts.swap(Arc::new(facts)).plan.rate;
        let limiter = self.limiter.load().as_ref().map(|limiter| limiter.rate());
        if before != rate || limiter.is_some_and(|limiter| Some(limiter) != rate) {
            // Not left to the next request: one that still has the old facts would make the old one.
            self.limiter.store(rate.map(|rate| Arc::new(RateLimit::new(rate))));
        }
    }
}
