//! What was used: the counters of one tenant, and how they add up.

use serde::{Deserialize, Serialize};

use super::Levels;

/// The counters of one tenant over one day (or a sum over days). Bytes are octets of message bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Totals {
    /// Calls that took a place of the quota.
    pub admitted: u64,
    /// Calls that count: the upstream (or the tenant API) answered.
    pub metered: u64,
    /// Calls whose place was given back: nothing could be delivered.
    pub given_back: u64,
    /// Calls that were in flight when the process died: their place is kept, they are not billed.
    pub aborted: u64,
    /// Body octets handed to clients.
    pub egress: u64,
    /// Body octets received from clients.
    pub ingress: u64,
    /// Calls refused before they were admitted.
    pub rejected: u64,
    /// Of the metered calls, those beyond the limit of a plan that bills them.
    pub calls_over: u64,
    /// Of the octets handed to clients, those beyond the limit of a plan that bills them.
    pub egress_over: u64,
}

impl Totals {
    /// Adds `other`, saturating.
    pub fn add(&mut self, other: &Totals) {
        self.admitted = self.admitted.saturating_add(other.admitted);
        self.metered = self.metered.saturating_add(other.metered);
        self.given_back = self.given_back.saturating_add(other.given_back);
        self.aborted = self.aborted.saturating_add(other.aborted);
        self.egress = self.egress.saturating_add(other.egress);
        self.ingress = self.ingress.saturating_add(other.ingress);
        self.rejected = self.rejected.saturating_add(other.rejected);
        self.calls_over = self.calls_over.saturating_add(other.calls_over);
        self.egress_over = self.egress_over.saturating_add(other.egress_over);
    }

    /// Of each counter, the larger of the two: counters only grow, so that it is the newer one.
    pub fn highest(&self, other: &Self) -> Self {
        Self {
            admitted: self.admitted.max(other.admitted),
            metered: self.metered.max(other.metered),
            given_back: self.given_back.max(other.given_back),
            aborted: self.aborted.max(other.aborted),
            egress: self.egress.max(other.egress),
            ingress: self.ingress.max(other.ingress),
            rejected: self.rejected.max(other.rejected),
            calls_over: self.calls_over.max(other.calls_over),
            egress_over: self.egress_over.max(other.egress_over),
        }
    }

    /// Places of the quota that are taken: admitted − given back.
    pub const fn taken(&self) -> u64 {
        self.admitted.saturating_sub(self.given_back)
    }
}

/// What a tenant has used in a month, as the APIs show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// The month's counters.
    pub month: Totals,
    /// Today's counters.
    pub today: Totals,
    /// What the app reported to have: now, or at the end of a month that is over.
    pub levels: Levels,
    /// The most that it had in the month.
    pub peak: Levels,
    /// The most octets stored in the month that lay beyond the limit of a plan that bills them.
    pub storage_over: u64,
    /// Distinct users the app reported as active in the month.
    pub active_users: u64,
}
