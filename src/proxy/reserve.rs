//! Reserve: a place of the day's quota, and the slot of the journal in which this call is counted.
//!
//! What a ticket promises: its place is metered or given back exactly once, however the request ends. A call whose head went
//! to the upstream and whose client then left is metered; one that never got there is given back.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::context::{Exchange, Worker};
use super::counting::Counting;
use super::rate_limit::RateLimit;
use super::refusal::{Refusal, Violation};
use super::tenant_api;
use super::throttle::Throttled;
use crate::limits::{InFlight, take_place};
use crate::metering::Slot;
use crate::tenancy::{Facts, Octets, TenantRuntime};
use crate::upstream::Progress;

/// The right to forward one request; made here only.
pub struct Ticket {
    meter: Meter,
    facts: Arc<Facts>,
    progress: Progress,
    /// Until the call is metered or given back.
    call: Cell<Option<Call>>,
    counting: Cell<Option<Box<Counting>>>,
    is_counted: bool,
    _in_flight: Option<InFlight>,
}

/// A call that took its place: it is counted on the day of its admission, whenever that is settled. Nothing of it is kept
/// longer, so that a connection of a week does not hold on to the journal's file of its first day.
struct Call {
    slot: Slot,
    /// Calls that earlier processes metered on that day.
    metered_before: u64,
}

/// Adds a tenant's octets to the day on which they are sent.
#[derive(Clone)]
pub struct Meter {
    worker: Rc<Worker>,
    tenant: Arc<TenantRuntime>,
}

/// Takes a place of the window that `exchange.time` lies in, after those of the gauges that the route counts.
pub fn reserve(exchange: &mut Exchange, throttled: Throttled) -> Result<(Ticket, Option<Bytes>), Refusal> {
    let (authorized, rate, in_flight) = throttled.into_parts();
    exchange.rate = rate;
    let (tenant, facts) = (Arc::clone(authorized.tenant()), Arc::clone(authorized.facts()));
    let today = exchange.worker.journal.today(exchange.time.day());
    let window = tenant.window(today);
    let slot = window.slot(&exchange.worker.journal, tenant.id()).map_err(|_| Refusal::Overloaded)?.clone();
    if let Some(limit) = facts.bytes_per_month {
        let used = window.egress_this_month();
        if used >= limit {
            let resets_at = window.day().month().end().start();
            return Err(Refusal::QuotaExceeded(Violation { resource: "bandwidth", limit, used, resets_at }));
        }
    }
    let counting = Counting::begin(exchange, &authorized)?;
    // Whoever has reported before may do so again: never unreported, as never unmetered.
    if (counting.is_some() || tenant.gauges_if_any().is_some()) && !exchange.worker.journal.takes_reports() {
        return Err(Refusal::Overloaded);
    }
    let place = take_place(slot.admitted(), slot.given_back(), window.calls_before(), facts.calls_per_day).map_err(|exceeded| {
        exchange.rate_limit = RateLimit::of(&facts, rate, Some(0), exchange.time);
        let resets_at = window.day().next().start();
        Refusal::QuotaExceeded(Violation { resource: "apiCalls", limit: exceeded.limit, used: exceeded.used, resets_at })
    })?;
    exchange.rate_limit = RateLimit::of(&facts, rate, place.remaining, exchange.time);
    // Asked now, because the window does not outlive the admission.
    let own = authorized.question().map(|question| tenant_api::answer(question, &tenant, &facts, &window, exchange.time));
    let call = Call { slot, metered_before: window.metered_before() };
    let ticket = Ticket {
        meter: Meter { worker: Rc::clone(&exchange.worker), tenant },
        facts,
        progress: Progress::default(),
        call: Cell::new(Some(call)),
        is_counted: counting.is_some(),
        counting: Cell::new(counting),
        _in_flight: in_flight,
    };
    Ok((ticket, own))
}

impl Ticket {
    /// The tenant's facts at admission.
    pub fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// Whose call it is.
    pub fn tenant(&self) -> &Arc<TenantRuntime> {
        &self.meter.tenant
    }

    /// Whether the app's answer decides over a place of a gauge, so that it has to be waited for whoever leaves.
    pub fn is_counted(&self) -> bool {
        self.is_counted
    }

    /// What the route counts; once.
    pub fn take_counting(&self) -> Option<Box<Counting>> {
        self.counting.take()
    }

    /// How far the request has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Counts octets.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Another meter for the same tenant.
    pub fn another_meter(&self) -> Meter {
        self.meter.clone()
    }

    /// The call counts. Where the plan bills calls beyond its limit, one is beyond it if as many counted before on its day.
    pub fn metered(&self) {
        let Some(Call { slot, metered_before }) = self.call.take() else { return };
        let before = metered_before + slot.add_metered();
        if self.facts.plan.calls_included().is_some_and(|included| before >= included) {
            slot.add_call_over();
        }
    }

    /// The call does not count and its place serves another.
    pub fn give_back(&self) {
        if let Some(call) = self.call.take() {
            call.slot.give_back();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.progress.head_sent() { self.metered() } else { self.give_back() }
    }
}

impl Meter {
    /// Body octets handed to the client.
    pub fn egress(&self, octets: u64) {
        self.count(Octets { egress: octets, ingress: 0 });
    }

    /// Body octets received from the client.
    pub fn ingress(&self, octets: u64) {
        self.count(Octets { egress: 0, ingress: octets });
    }

    fn count(&self, octets: Octets) {
        let journal = &self.worker.journal;
        self.tenant.count(journal, journal.today(self.worker.clock.now().day()), octets);
    }
}
