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
    pub async fn month(&self, tenant: TenantId, month: Month, now: Millis) -> Result<Usage, StoreError> {
        let mut usage = Usage::default();
        for day in self.days(tenant, month).await? {
            usage.month.add(&day.totals);
            if day.day == now.day() {
                usage.today.add(&day.totals);
            }
        }
        Ok(usage)
    }
    /// The days of a month that have any usage, oldest first.
    pub async fn days(&self, tenant: TenantId, month: Month) -> Result<Vec<DayUsage>, StoreError> {
        let rows = self.store.usage(tenant, month.first()..month.end()).await?;
        Ok(rows.into_iter().map(|row| DayUsage { day: row.day, totals: row.totals }).collect())
    }
    /// Sets (`value`) or changes (`delta`) reported storage, users or projects: not in this build's contract yet.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }
}
