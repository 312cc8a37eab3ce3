//! Usage reads (stub).
use crate::metering::Journal;
use crate::model::{Day, Millis, Month, TenantId, Totals, Usage};
use crate::store::{Store, StoreError};
use std::sync::Arc;

/// One day of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayUsage {
    /// Which.
    pub day: Day,
    /// Its counters.
    pub totals: Totals,
}

/// Live usage: what the store has of other writers, and this process's journal.
pub struct UsageReader {
    /// Durable rows.
    pub store: Arc<dyn Store>,
    /// What this process counts.
    pub journal: Arc<Journal>,
}

impl UsageReader {
    /// A tenant's month; `now` decides what today is.
    pub async fn month(&self, _tenant: TenantId, _month: Month, _now: Millis) -> Result<Usage, StoreError> {
        todo!()
    }
    /// The days of a month that have any usage, oldest first.
    pub async fn days(&self, _tenant: TenantId, _month: Month) -> Result<Vec<DayUsage>, StoreError> {
        todo!()
    }
    /// Sets (`value`) or changes (`delta`) reported storage, users or projects: not in this build's contract yet.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }
}
