//! One tenant as the data plane sees it: facts that are swapped whole, its limiter, its requests in flight, its usage.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use http::HeaderValue;

use super::window::DayWindow;
use crate::limits::{Concurrency, RateLimit};
use crate::metering::{Journal, Slot, SlotUnavailable};
use crate::model::{Day, Plan, Tenant, TenantId};
use crate::store::{UsageRow, Version};
use crate::upstream::Target;

/// What a request needs to know of its tenant, made ready when the tenant changes.
pub struct Facts {
    /// The tenant as committed.
    pub tenant: Tenant,
    /// The commit it comes from.
    pub version: Version,
    /// Its plan.
    pub plan: Plan,
    /// `tenant_…`.
    pub id_text: String,
    /// For `X-Tenant-Id`.
    pub id_value: HeaderValue,
    /// For `X-Tenant-Slug`.
    pub slug_value: HeaderValue,
    /// For `X-Tenant-Plan`.
    pub plan_value: HeaderValue,
    /// For `X-Tenant-Features`, where any is on.
    pub features_value: Option<HeaderValue>,
    /// Flags that are on, sorted.
    pub features: Vec<String>,
    /// For `RateLimit-Policy`, where the tenant has a limit.
    pub policy_value: Option<HeaderValue>,
    /// Calls per day at which it is refused.
    pub calls_per_day: Option<u64>,
    /// Octets per month at which it is refused.
    pub bytes_per_month: Option<u64>,
    /// Where its requests go; never empty.
    pub targets: Vec<Arc<Target>>,
    /// Host names that lead here.
    pub hosts: Vec<String>,
}

/// One tenant in the directory; shared by all workers.
pub struct TenantRuntime {
    id: TenantId,
    facts: ArcSwap<Facts>,
    limiter: ArcSwapOption<RateLimit>,
    concurrency: Arc<Concurrency>,
    window: ArcSwap<DayWindow>,
    turn: AtomicUsize,
}

impl TenantRuntime {
    /// A tenant that was just published, with what earlier processes stored of its month.
    pub(super) fn new(facts: Facts, today: Day, rows: &[UsageRow]) -> Self {
        let limiter = facts.plan.rate.map(|rate| Arc::new(RateLimit::new(rate)));
        Self {
            id: facts.tenant.id,
            facts: ArcSwap::from_pointee(facts),
            limiter: ArcSwapOption::from(limiter),
            concurrency: Arc::default(),
            window: ArcSwap::from_pointee(DayWindow::starting(today, rows)),
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

    /// Its limiter; `None` is unlimited.
    pub fn limiter(&self) -> Guard<Option<Arc<RateLimit>>> {
        self.limiter.load()
    }

    /// Its requests in flight.
    pub fn concurrency(&self) -> &Arc<Concurrency> {
        &self.concurrency
    }

    /// The window of `today`, or of a later day where the clock went back.
    pub fn window(&self, today: Day) -> Arc<DayWindow> {
        let window = self.window.load();
        if window.day() >= today {
            return Arc::clone(&window);
        }
        drop(window);
        self.window.rcu(|current| if current.day() >= today { Arc::clone(current) } else { Arc::new(current.rolled_to(today)) });
        self.window.load_full()
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
        let unchanged = self.limiter.load().as_ref().map(|limiter| limiter.rate()) == rate;
        self.facts.store(Arc::new(facts));
        if !unchanged {
            self.limiter.store(rate.map(|rate| Arc::new(RateLimit::new(rate))));
        }
    }
}
