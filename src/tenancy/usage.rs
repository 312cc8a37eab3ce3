//! Usage reads: live sums of what the store has and what this process has counted since.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Directory;
use crate::metering::{Journal, count_active_users, levels_in};
use crate::model::{Day, Millis, Month, TenantId, Totals, Usage};
use crate::store::{Store, StoreError};

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
    store: Arc<dyn Store>,
    journal: Arc<Journal>,
    directory: Arc<Directory>,
}

impl UsageReader {
    /// Reads from both.
    pub fn new(store: Arc<dyn Store>, journal: Arc<Journal>, directory: Arc<Directory>) -> Self {
        Self { store, journal, directory }
    }

    /// A tenant's month; `now` decides what today is. A call is in it from the moment its response head was passed on.
    pub async fn month(&self, tenant: TenantId, month: Month, now: Millis) -> Result<Usage, StoreError> {
        let today = now.day();
        let mut usage = Usage::default();
        let days = self.days(tenant, month).await?;
        for day in &days {
            usage.month.add(&day.totals);
        }
        let of_today = if today.month() == month { days } else { self.days(tenant, today.month()).await? };
        usage.today = of_today.iter().find(|usage| usage.day == today).map_or_else(Totals::default, |usage| usage.totals);
        self.reported(tenant, month, now, &mut usage).await?;
        Ok(usage)
    }

    /// What a tenant stored beyond its limit in a month, and what it stores now or did at the month's end, of the same numbers as
    /// [`Self::month`].
    pub async fn stored(&self, tenant: TenantId, month: Month, now: Millis) -> Result<(u64, u64), StoreError> {
        let mut usage = Usage::default();
        self.levels(tenant, month, now, &mut usage).await?;
        Ok((usage.storage_over, usage.levels.storage))
    }

    /// What was reported: live where the month goes on, else as it was stored.
    async fn reported(&self, tenant: TenantId, month: Month, now: Millis, usage: &mut Usage) -> Result<(), StoreError> {
        self.levels(tenant, month, now, usage).await?;
        let runtime = self.directory.by_id(tenant);
        let live = runtime.as_ref().and_then(|runtime| runtime.gauges_if_any());
        usage.active_users = match live.and_then(|gauges| gauges.active_users(month)) {
            Some(live) => live,
            None => count_active_users(&*self.store, month, tenant).await?,
        };
        Ok(())
    }

    async fn levels(&self, tenant: TenantId, month: Month, now: Millis, usage: &mut Usage) -> Result<(), StoreError> {
        let stored = levels_in(&*self.store, tenant, month).await?;
        if let Some(record) = &stored {
            (usage.levels, usage.peak, usage.storage_over) = (record.now, record.peak, record.storage_over);
        }
        let runtime = self.directory.by_id(tenant);
        if let Some(runtime) = &runtime
            && let Some(gauges) = runtime.gauges_if_any()
            && let Some((peak, over)) = gauges.peak_in(month, runtime.at(now).included)
        {
            (usage.levels, usage.peak, usage.storage_over) = (gauges.levels(), peak, over);
        }
        Ok(())
    }

    /// The days of a month that have any usage, oldest first.
    pub async fn days(&self, tenant: TenantId, month: Month) -> Result<Vec<DayUsage>, StoreError> {
        // The journal first: a slot that is retired in between is then read twice rather than not at all.
        let mut days: BTreeMap<Day, Totals> = BTreeMap::new();
        let mut day = month.first();
        while day < month.end() {
            if let Some(live) = self.journal.totals(tenant, day) {
                days.insert(day, live);
            }
            day = day.next();
        }
        let stored = self.store.usage(tenant, month.first()..month.end()).await?;
        let live: Vec<Day> = days.keys().copied().collect();
        for row in stored {
            // This process's own row is what was folded of the slot that has just been read, or of a slot retired since.
            if row.writer != self.journal.incarnation() || !live.contains(&row.day) {
                days.entry(row.day).or_default().add(&row.totals);
            }
        }
        Ok(days.into_iter().map(|(day, totals)| DayUsage { day, totals }).collect())
    }
}
