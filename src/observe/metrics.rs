//! Every number that `/metrics` shows.
//!
//! What it promises: labels are bounded and known beforehand (no tenant, no path); a call on the request path is a few
//! relaxed additions to a cell of the calling thread, without a lock, an allocation or a look-up by hash.

mod events;
mod exposition;
mod numbers;
mod revenue;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::duties::{Duties, JournalRoom};
use crate::model::Millis;
use events::EndpointNumbers;
pub use events::EventOutcome;
use numbers::{Numbers, index_of};
pub use revenue::RevenueNumbers;

/// Who caused an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The client's request was at fault, or the client left.
    Client,
    /// The tenant: suspended, over a limit.
    Tenant,
    /// The app behind.
    Upstream,
    /// Gatehouse itself.
    Gateway,
    /// Nobody: all went well.
    None,
}

impl Owner {
    /// As it is written in logs and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Tenant => "tenant",
            Self::Upstream => "upstream",
            Self::Gateway => "gateway",
            Self::None => "none",
        }
    }
}

/// Every number that `/metrics` shows. Labels are bounded; atomics only.
pub struct Metrics {
    numbers: Arc<Numbers>,
    registry: Registry,
}

impl Default for Metrics {
    fn default() -> Self {
        let numbers = Arc::new(Numbers::default());
        let mut registry = Registry::default();
        registry.register_collector(Box::new(numbers.clone()));
        Self { numbers, registry }
    }
}

impl Metrics {
    /// One request ended. `code` is a refusal's code.
    pub fn request(&self, status: u16, code: Option<&'static str>, owner: Owner, duration: Duration) {
        let cell = self.numbers.cell();
        cell.request(status, owner);
        cell.durations.observe(duration);
        if let Some(code) = code {
            cell.refusal(code);
        }
    }

    /// Body octets, from and to clients.
    pub fn bytes(&self, ingress: u64, egress: u64) {
        let cell = self.numbers.cell();
        cell.bytes_in.add(ingress);
        cell.bytes_out.add(egress);
    }

    /// A connection opened; `-1` when it closes.
    pub fn connections(&self, listener: &'static str, change: i64) {
        let side = if change < 0 { &self.numbers.closed } else { &self.numbers.opened };
        // `index_of` stays within the list, which these are as long as.
        if let Some(counter) = side.get(index_of(&numbers::LISTENERS, listener)) {
            counter.add(change.unsigned_abs());
        }
    }

    /// A connection was refused before any request: `handshake`, `limit`, `no_certificate`, `proxy_protocol`.
    pub fn connection_refused(&self, reason: &'static str) {
        if let Some(counter) = self.numbers.connections_refused.get(index_of(&numbers::REASONS, reason)) {
            counter.add(1);
        }
    }

    /// A call of the admin API was refused for who made it: `wrong_token`, `locked_out`, `no_token`, `role`.
    pub fn admin_refused(&self, reason: &'static str) {
        let place = numbers::ADMIN_REFUSALS.iter().position(|known| *known == reason);
        if let Some(counter) = place.and_then(|place| self.numbers.admin_refused.get(place)) {
            counter.add(1);
        }
    }

    /// How long the fold took and how it ended; how many rows it wrote.
    pub fn fold(&self, took: Duration, rows: Result<usize, ()>) {
        self.numbers.fold.ended(took, rows);
    }

    /// How the duties of metering are doing, and the journal's room; set as a whole.
    pub fn duties(&self, duties: &Duties, room: JournalRoom) {
        let (fold, journal) = (duties.fold.standing(), duties.journal.standing());
        self.numbers.fold.failing.set(fold.failing.is_some().into());
        let upkeep = &self.numbers.journal;
        upkeep.failing.set(journal.failing.is_some().into());
        upkeep.failures.set(journal.failures);
        upkeep.free_slots.set(room.free_slots);
        upkeep.unused_segments.set(room.unused_segments);
        upkeep.free_reports.set(room.free_reports);
    }

    /// Tenants by status, set as a whole: a status that is not named has none.
    pub fn tenants(&self, by_status: &[(&'static str, u64)]) {
        let mut counts = [0; numbers::STATUSES.len()];
        for (status, count) in by_status {
            if let Some(place) = counts.get_mut(index_of(&numbers::STATUSES, status)) {
                *place += count;
            }
        }
        for (counter, count) in self.numbers.tenants.iter().zip(counts) {
            counter.set(count);
        }
    }

    /// Custom domains by how they stand, set as a whole.
    pub fn domains(&self, by_status: &[(&'static str, u64)]) {
        for (status, count) in by_status {
            if let Some(counter) = self.numbers.domains.get(index_of(&numbers::DOMAIN_STATUSES, status)) {
                counter.set(*count);
            }
        }
    }

    /// How many certificates there are from files and from an authority, how many pairs in files are bad, and when the first ends.
    pub fn certificates(&self, (files, acme, bad): (usize, usize, usize), soonest_expiry: Millis) {
        for (counter, count) in self.numbers.certificates.iter().zip([files, acme]) {
            counter.set(count as u64);
        }
        self.numbers.bad_pairs.set(bad as u64);
        self.numbers.soonest_expiry.set(u64::try_from(soonest_expiry.0).unwrap_or_default());
    }

    /// Revenue, and how many invoices were issued, set as a whole.
    pub fn revenue(&self, numbers: RevenueNumbers) {
        self.numbers.revenue.set(numbers);
    }

    /// The endpoints that events are sent to; only the first call counts.
    pub fn watch_events(&self, endpoints: impl Iterator<Item = String>) {
        let _ = self.numbers.endpoints.set(endpoints.map(EndpointNumbers::new).collect());
    }

    /// How many events an endpoint is still to get.
    pub fn events_pending(&self, endpoint: &str, pending: usize) {
        self.numbers.endpoint(endpoint).for_each(|numbers| numbers.set_pending(pending));
    }

    /// An attempt to deliver an event ended.
    pub fn event_delivery(&self, endpoint: &str, outcome: EventOutcome) {
        self.numbers.endpoint(endpoint).for_each(|numbers| numbers.ended(outcome));
    }

    /// Upstream connections opened and reused.
    pub fn upstream_connection(&self, reused: bool) {
        let cell = self.numbers.cell();
        if reused { cell.upstream_reused.add(1) } else { cell.upstream_opened.add(1) }
    }

    /// OpenMetrics text.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        // Writing to a String does not fail, and nothing else in it does.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
