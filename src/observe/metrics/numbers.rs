//! The counters behind [`Metrics`](super::Metrics), and the labels that exist.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::Owner;
use super::events::EndpointNumbers;
use super::revenue::Revenue;
use crate::clock::{Clock, SystemClock};
use crate::model::Millis;

/// Codes of refusals, as in the public table of errors; the last one stands for all others.
pub(super) const CODES: [&str; 23] = [
    "bad_request",
    "method_not_allowed",
    "unauthenticated",
    "tenant_suspended",
    "tenant_mismatch",
    "feature_disabled",
    "plan_limit_reached",
    "forbidden",
    "tenant_not_found",
    "body_too_large",
    "uri_too_long",
    "headers_too_large",
    "misdirected_request",
    "rate_limited",
    "quota_exceeded",
    "too_many_concurrent_requests",
    "upstream_unreachable",
    "no_healthy_upstream",
    "overloaded",
    "upstream_timeout",
    "client_closed",
    "request_timeout",
    "other",
];
/// Listeners; the last one stands for all others.
pub(super) const LISTENERS: [&str; 3] = ["http", "https", "other"];
/// Why a connection is refused; the last one stands for all others.
pub(super) const REASONS: [&str; 5] = ["handshake", "limit", "no_certificate", "proxy_protocol", "other"];
/// Why a call of the admin API is refused before it is looked at.
pub(super) const ADMIN_REFUSALS: [&str; 4] = ["wrong_token", "locked_out", "no_token", "role"];
/// Statuses of tenants; the last one stands for all others.
pub(super) const STATUSES: [&str; 7] = ["trial", "active", "past_due", "suspended", "canceled", "deleted", "other"];
/// How custom domains stand.
pub(super) const DOMAIN_STATUSES: [&str; 4] = ["serving", "at_risk", "in_progress", "stuck"];
/// Where certificates come from.
pub(super) const SOURCES: [&str; 2] = ["files", "acme"];
/// Classes of response statuses.
pub(super) const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];
/// In the order of [`owner_index`].
pub(super) const OWNERS: [Owner; 5] = [Owner::Client, Owner::Tenant, Owner::Upstream, Owner::Gateway, Owner::None];

/// Upper bounds of the buckets of durations, inclusive, in microseconds: 0.5 ms to 60 s.
pub(super) const BOUNDS: [u64; 16] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000,
    60_000_000,
];

/// Cells that threads share out among themselves; more threads than cells share one, which costs time only.
const CELLS: usize = 16;

/// A number that only grows, or is set.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many durations lay between two bounds; the last place counts those beyond all bounds.
#[derive(Debug, Default)]
pub(super) struct Durations {
    pub(super) buckets: [Counter; BOUNDS.len() + 1],
    /// Microseconds: in nanoseconds, 10,000 long streams would run over within a month.
    pub(super) micros: Counter,
}

impl Durations {
    pub(super) fn observe(&self, duration: Duration) {
        let nanos = duration.as_nanos();
        let place = BOUNDS.partition_point(|bound| u128::from(*bound) * 1000 < nanos);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.add(1);
        }
        self.micros.add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }
}

/// What one thread adds to on the request path. Aligned so that no two threads write to the same cache line (x86 fetches
/// lines in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Cell {
    pub(super) requests: [[Counter; OWNERS.len()]; CLASSES.len()],
    pub(super) refusals: [Counter; CODES.len()],
    pub(super) durations: Durations,
    pub(super) bytes_in: Counter,
    pub(super) bytes_out: Counter,
    pub(super) upstream_opened: Counter,
    pub(super) upstream_reused: Counter,
}

impl Cell {
    pub(super) fn request(&self, status: u16, owner: Owner) {
        let class = match status {
            100..=599 => usize::from(status / 100) - 1,
            _ => CLASSES.len() - 1,
        };
        if let Some(counter) = self.requests.get(class).and_then(|owners| owners.get(owner_index(owner))) {
            counter.add(1);
        }
    }

    pub(super) fn refusal(&self, code: &str) {
        if let Some(counter) = self.refusals.get(index_of(&CODES, code)) {
            counter.add(1);
        }
    }
}

/// The fold of the usage journal into the store.
#[derive(Debug, Default)]
pub(super) struct Fold {
    pub(super) durations: Durations,
    pub(super) rows: Counter,
    pub(super) failures: Counter,
    /// 1 while it fails.
    pub(super) failing: Counter,
    /// Milliseconds since the epoch; 0 = never.
    pub(super) last_success: Counter,
}

impl Fold {
    pub(super) fn ended(&self, took: Duration, rows: Result<usize, ()>) {
        self.durations.observe(took);
        match rows {
            Ok(rows) => {
                self.rows.add(rows as u64);
                self.last_success.set(SystemClock.now().0.unsigned_abs());
            }
            Err(()) => self.failures.add(1),
        }
    }
}

/// The journal's upkeep, set as a whole.
#[derive(Debug, Default)]
pub(super) struct JournalUpkeep {
    /// 1 while it fails.
    pub(super) failing: Counter,
    pub(super) failures: Counter,
    pub(super) free_slots: Counter,
    pub(super) unused_segments: Counter,
    pub(super) free_reports: Counter,
}

/// All counters.
#[derive(Debug)]
pub(super) struct Numbers {
    cells: [Cell; CELLS],
    pub(super) opened: [Counter; LISTENERS.len()],
    pub(super) closed: [Counter; LISTENERS.len()],
    pub(super) connections_refused: [Counter; REASONS.len()],
    pub(super) admin_refused: [Counter; ADMIN_REFUSALS.len()],
    pub(super) tenants: [Counter; STATUSES.len()],
    /// In the order of [`DOMAIN_STATUSES`].
    pub(super) domains: [Counter; DOMAIN_STATUSES.len()],
    /// In the order of [`SOURCES`].
    pub(super) certificates: [Counter; SOURCES.len()],
    /// Pairs in files that cannot be used.
    pub(super) bad_pairs: Counter,
    /// Milliseconds since the epoch; 0 without any.
    pub(super) soonest_expiry: Counter,
    pub(super) fold: Fold,
    pub(super) journal: JournalUpkeep,
    pub(super) revenue: Revenue,
    /// Where events are sent to.
    pub(super) endpoints: OnceLock<Vec<EndpointNumbers>>,
    pub(super) started: Millis,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            cells: Default::default(),
            opened: Default::default(),
            closed: Default::default(),
            connections_refused: Default::default(),
            admin_refused: Default::default(),
            tenants: Default::default(),
            domains: Default::default(),
            certificates: Default::default(),
            bad_pairs: Counter::default(),
            soonest_expiry: Counter::default(),
            fold: Fold::default(),
            journal: JournalUpkeep::default(),
            revenue: Revenue::default(),
            endpoints: OnceLock::new(),
            started: SystemClock.now(),
        }
    }
}

impl Numbers {
    /// The calling thread's cell.
    pub(super) fn cell(&self) -> &Cell {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % CELLS);
        // In range by the remainder above, also for the first cell that stands in while a thread ends.
        &self.cells[MINE.try_with(|mine| *mine).unwrap_or(0) % CELLS]
    }

    /// Where events are sent to.
    pub(super) fn endpoints(&self) -> &[EndpointNumbers] {
        self.endpoints.get().map_or(&[], Vec::as_slice)
    }

    /// The numbers of one endpoint, where there is such.
    pub(super) fn endpoint(&self, name: &str) -> impl Iterator<Item = &EndpointNumbers> {
        self.endpoints().iter().filter(move |endpoint| endpoint.is_of(name))
    }

    /// The cells of all threads.
    pub(super) fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter()
    }

    /// Sums one counter over all threads.
    pub(super) fn sum(&self, counter: impl Fn(&Cell) -> &Counter) -> u64 {
        self.cells.iter().map(|cell| counter(cell).get()).sum()
    }
}

/// Where `label` stands in a list, or the list's last place, which stands for all others.
pub(super) fn index_of<const N: usize>(list: &[&'static str; N], label: &str) -> usize {
    list.iter().position(|known| *known == label).unwrap_or(N - 1)
}

pub(super) const fn owner_index(owner: Owner) -> usize {
    match owner {
        Owner::Client => 0,
        Owner::Tenant => 1,
        Owner::Upstream => 2,
        Owner::Gateway => 3,
        Owner::None => 4,
    }
}
