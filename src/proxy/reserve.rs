//! Reserve: a place of the day's quota, and the slot of the journal in which this call is counted.
//!
//! What a ticket promises: its place is metered or given back exactly once, however the request ends. A call whose head went
//! to the upstream and whose client then left is metered; one that never got there is given back.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use super::context::{Exchange, Worker};
use super::rate_limit::rate_limit;
use super::refusal::{Refusal, Violation};
use super::tenant_api::Question;
use super::throttle::Throttled;
use crate::limits::{InFlight, take_place};
use crate::metering::Slot;
use crate::model::Day;
use crate::tenancy::{DayWindow, Facts, TenantRuntime};
use crate::upstream::Progress;

/// The right to forward one request; made here only.
pub struct Ticket {
    meter: Meter,
    /// Of the day of admission: the call is counted there.
    slot: Slot,
    window: Arc<DayWindow>,
    facts: Arc<Facts>,
    progress: Progress,
    settled: Cell<bool>,
    _in_flight: Option<InFlight>,
}

/// Adds a tenant's octets to the day on which they are sent.
#[derive(Clone)]
pub struct Meter {
    worker: Rc<Worker>,
    tenant: Arc<TenantRuntime>,
    slot: Slot,
}

/// Takes a place of the window that `exchange.time` lies in.
pub fn reserve(exchange: &mut Exchange, throttled: Throttled) -> Result<(Ticket, Option<Question>), Refusal> {
    let (authorized, rate, in_flight) = throttled.into_parts();
    let (tenant, facts) = (Arc::clone(authorized.tenant()), Arc::clone(authorized.facts()));
    let today = exchange.time.day();
    let window = tenant.window(today);
    let slot = window.slot(&exchange.worker.journal, tenant.id()).map_err(|_| Refusal::Overloaded)?.clone();
    if let Some(limit) = facts.bytes_per_month {
        let used = window.egress_this_month();
        if used >= limit {
            let resets_at = window.day().month().end().start();
            return Err(Refusal::QuotaExceeded(Violation { resource: "bandwidth", limit, used, resets_at }));
        }
    }
    let place = take_place(slot.admitted(), slot.given_back(), window.calls_before(), facts.calls_per_day).map_err(|exceeded| {
        exchange.rate_limit = rate_limit(&facts, rate, Some(0), exchange.time);
        let resets_at = window.day().next().start();
        Refusal::QuotaExceeded(Violation { resource: "apiCalls", limit: exceeded.limit, used: exceeded.used, resets_at })
    })?;
    exchange.rate_limit = rate_limit(&facts, rate, place.remaining, exchange.time);
    let meter = Meter { worker: Rc::clone(&exchange.worker), tenant, slot: slot.clone() };
    let question = authorized.question();
    let ticket = Ticket { meter, slot, window, facts, progress: Progress::default(), settled: Cell::new(false), _in_flight: in_flight };
    Ok((ticket, question))
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

    /// The window of admission.
    pub fn window(&self) -> &DayWindow {
        &self.window
    }

    /// How far the request has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Counts octets.
    pub fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    /// Another meter for the same tenant.
    pub fn another_meter(&self) -> Meter {
        self.meter.clone()
    }

    /// The call counts.
    pub fn metered(&self) {
        if !self.settled.replace(true) {
            self.slot.add_metered();
        }
    }

    /// The call does not count and its place serves another.
    pub fn give_back(&self) {
        if !self.settled.replace(true) {
            self.slot.give_back();
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
    pub fn egress(&mut self, octets: u64) {
        self.today().add_egress(octets);
    }

    /// Body octets received from the client.
    pub fn ingress(&mut self, octets: u64) {
        self.today().add_ingress(octets);
    }

    /// Today's slot. Where the journal has none left, the octets go to the day before rather than nowhere.
    fn today(&mut self) -> &Slot {
        let today: Day = self.worker.clock.now().day();
        if today > self.slot.day()
            && let Ok(slot) = self.tenant.slot(&self.worker.journal, today)
        {
            self.slot = slot;
        }
        &self.slot
    }
}
