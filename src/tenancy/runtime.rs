//! One tenant as the data plane sees it: facts that are swapped whole, its limiter, its requests in flight, its usage. What
//! only a tenant with requests needs is made by its first request.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use dashmap::DashMap;

use super::facts::Facts;
use super::gauges::{At, Gauges, Start};
use super::told::Told;
use super::window::DayWindow;
use crate::limits::{Concurrency, RateDecision, RateLimit};
use crate::metering::{Journal, Slot, SlotUnavailable};
use crate::model::{Day, Levels, Millis, Rate, TenantId};
use crate::store::UsageRow;

/// One tenant in the directory; shared by all workers.
pub struct TenantRuntime {
    id: TenantId,
    facts: ArcSwap<Facts>,
    limiter: ArcSwapOption<RateLimit>,
    /// Of routes that have a rate of their own, by their places; made by the first request for one.
    route_limiters: OnceLock<Box<DashMap<usize, RateLimit>>>,
    concurrency: OnceLock<Arc<Concurrency>>,
    /// None before its first request, where nothing was stored of its month.
    window: OnceLock<ArcSwap<DayWindow>>,
    /// Of the first report on.
    gauges: OnceLock<Arc<Gauges>>,
    /// Octets that came while the journal had no slot for their day.
    late: LateOctets,
    /// Of a month that the plan bills beyond; `u64::MAX` where it does not.
    bytes_included: AtomicU64,
    /// Thresholds that were told, once one is reached.
    told: OnceLock<Box<Mutex<Told>>>,
    turn: AtomicUsize,
}

#[derive(Default)]
struct LateOctets {
    egress: AtomicU64,
    ingress: AtomicU64,
}

/// Octets that passed, in one of both directions or both.
#[derive(Debug, Clone, Copy, Default)]
pub struct Octets {
    /// Handed to the client.
    pub egress: u64,
    /// Received from the client.
    pub ingress: u64,
}

impl TenantRuntime {
    /// A tenant that was just published, with what earlier processes stored of its month.
    pub(super) fn new(facts: Facts, today: Day, rows: &[UsageRow]) -> Self {
        let window = OnceLock::new();
        if !rows.is_empty() {
            window.get_or_init(|| ArcSwap::from_pointee(DayWindow::starting(today, rows)));
        }
        let bytes_included = AtomicU64::new(facts.plan.bytes_included().unwrap_or(u64::MAX));
        Self {
            id: facts.tenant.id,
            facts: ArcSwap::from_pointee(facts),
            limiter: ArcSwapOption::empty(),
            route_limiters: OnceLock::new(),
            concurrency: OnceLock::new(),
            window,
            gauges: OnceLock::new(),
            late: LateOctets::default(),
            bytes_included,
            told: OnceLock::new(),
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

    /// Asks the limiter of the route at this place for one request of this tenant, and takes it.
    pub fn ask_route_rate(&self, place: usize, rate: Rate) -> RateDecision {
        let limiters = self.route_limiters.get_or_init(|| Box::new(DashMap::with_shard_amount(2)));
        if let Some(limiter) = limiters.get(&place) {
            return limiter.check();
        }
        limiters.entry(place).or_insert_with(|| RateLimit::new(rate)).check()
    }

    /// Its requests in flight.
    pub fn concurrency(&self) -> &Arc<Concurrency> {
        self.concurrency.get_or_init(Arc::default)
    }

    /// The window of `today`, or of a later day where the clock went back. It is not to be kept.
    pub fn window(&self, today: Day) -> Guard<Arc<DayWindow>> {
        let shared = self.window.get_or_init(|| ArcSwap::from_pointee(DayWindow::starting(today, &[])));
        let window = shared.load();
        if window.day() >= today {
            return window;
        }
        drop(window);
        shared.rcu(|current| if current.day() >= today { Arc::clone(current) } else { Arc::new(current.rolled_to(today)) });
        shared.load()
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

    /// Counts octets on the day on which they pass. Where the journal has no slot for it, they wait until it has.
    pub fn count(&self, journal: &Journal, today: Day, octets: Octets) {
        let window = self.window(today);
        match window.slot(journal, self.id) {
            Ok(slot) => {
                let late = self.late.take();
                let egress = octets.egress + late.egress;
                if egress > 0 {
                    let before = window.egress_before() + slot.add_egress(egress);
                    let over = beyond(before + egress, self.bytes_included.load(Ordering::Relaxed));
                    if over > 0 {
                        // Of this piece, not of those before it.
                        slot.add_egress_over(over.min(egress));
                    }
                }
                if octets.ingress + late.ingress > 0 {
                    slot.add_ingress(octets.ingress + late.ingress);
                }
            }
            Err(SlotUnavailable) => self.late.add(octets),
        }
    }

    /// Its gauges.
    pub fn gauges(&self, now: Millis) -> &Arc<Gauges> {
        self.gauges.get_or_init(|| {
            let (levels, peak) = Default::default();
            let start = Start { levels, peak, storage_over: 0, month: now.day().month(), users: HashSet::new() };
            Arc::new(Gauges::starting(self.id, start))
        })
    }

    /// Its gauges, where anything was ever reported.
    pub fn gauges_if_any(&self) -> Option<&Arc<Gauges>> {
        self.gauges.get()
    }

    /// The levels of its gauges, and the users that were active in the month of `now`.
    pub fn reported(&self, now: Millis) -> (Levels, u64) {
        let Some(gauges) = self.gauges.get() else { return (Levels::default(), 0) };
        (gauges.levels(), gauges.active_users(now.day().month()).unwrap_or(0))
    }

    /// The circumstances of a report that is made now.
    pub fn at(&self, now: Millis) -> At {
        At { now, included: self.facts().plan.storage_included() }
    }

    /// Its gauges as they were stored. Before it is served.
    pub(super) fn start_gauges(&self, start: Start) {
        // There are none yet.
        let _ = self.gauges.set(Arc::new(Gauges::starting(self.id, start)));
    }

    /// Brings what the journal had no room for into it, as far as there is room now.
    pub(super) fn catch_up(&self, journal: &Journal, now: Millis) {
        if self.late.any() {
            self.count(journal, now.day(), Octets::default());
        }
        if let Some(gauges) = self.gauges.get() {
            gauges.report_late(journal, self.at(now));
        }
    }

    /// What is stored counts, reported or not.
    pub(super) fn tell_stored(&self, journal: &Journal, now: Millis) {
        if let Some(gauges) = self.gauges.get() {
            gauges.tell_stored(journal, self.at(now));
        }
    }

    /// Thresholds that were told.
    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        // Single inserts and removals under it.
        self.told.get_or_init(Box::default).lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which of its targets is next, in turn.
    pub fn turn(&self, facts: &Facts) -> usize {
        match facts.targets.len() {
            0 | 1 => 0,
            many => self.turn.fetch_add(1, Ordering::Relaxed) % many,
        }
    }

    /// Swaps the facts for those with other flags.
    pub(super) fn show_flags(&self, facts: Facts) {
        self.facts.store(Arc::new(facts));
    }

    /// Swaps the facts; the limiter is rebuilt only where the rate changed, so that a change refills no bucket.
    pub(super) fn update(&self, facts: Facts, now: Millis) {
        let rate = facts.plan.rate;
        self.bytes_included.store(facts.plan.bytes_included().unwrap_or(u64::MAX), Ordering::Relaxed);
        let before = self.facts.swap(Arc::new(facts)).plan.rate;
        let limiter = self.limiter.load().as_ref().map(|limiter| limiter.rate());
        if before != rate || limiter.is_some_and(|limiter| Some(limiter) != rate) {
            // Not left to the next request: one that still has the old facts would make the old one.
            self.limiter.store(rate.map(|rate| Arc::new(RateLimit::new(rate))));
        }
        if let Some(gauges) = self.gauges.get() {
            gauges.look(self.at(now));
        }
    }
}

/// How much of `used` lies beyond `included`.
const fn beyond(used: u64, included: u64) -> u64 {
    used.saturating_sub(included)
}

impl LateOctets {
    fn add(&self, octets: Octets) {
        self.egress.fetch_add(octets.egress, Ordering::Relaxed);
        self.ingress.fetch_add(octets.ingress, Ordering::Relaxed);
    }

    fn any(&self) -> bool {
        self.egress.load(Ordering::Relaxed) > 0 || self.ingress.load(Ordering::Relaxed) > 0
    }

    /// All of them, for whoever adds them to a slot. Nearly always there are none, which costs two loads.
    fn take(&self) -> Octets {
        if !self.any() {
            return Octets::default();
        }
        Octets { egress: self.egress.swap(0, Ordering::Relaxed), ingress: self.ingress.swap(0, Ordering::Relaxed) }
    }
}
