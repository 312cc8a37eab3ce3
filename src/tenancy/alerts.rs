//! Alerts: 80 % and 100 % of a limit, and a hard cap that is reached, each told once in its window, in an audit row and a record
//! beside it.
//!
//! They follow the fold, so at most a second later than what they tell. Counters only grow within their window and gauges keep
//! their peak, so that no crossing is missed: neither two at once, nor a level that has fallen again, nor one right before
//! midnight or before the process was killed. The record makes each happen once, whoever looks.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde_json::json;

use super::change::encode;
use super::facts::Facts;
use super::runtime::TenantRuntime;
use super::told::{Crossing, Window};
use super::usage::UsageReader;
use super::{Cause, Directory, TenancyError};
use crate::model::{Gauge, Levels, Millis, Month, TenantId, Totals};
use crate::store::{Key, Precondition, Store, StoreError, Table, Tx, UsageRow};

/// Of a limit, in percent.
const THRESHOLDS: [u64; 2] = [80, 100];
/// Commits under way at once.
const AT_ONCE: usize = 64;

/// Tells of thresholds.
pub struct Alerts {
    /// Where it is told.
    pub store: Arc<dyn Store>,
    /// Whose limits.
    pub directory: Arc<Directory>,
    /// Days that are over.
    pub usage: Arc<UsageReader>,
}

impl Alerts {
    /// Looks at what the fold of counters wrote; how many were told. What fails is returned, to be looked at again.
    pub async fn check_counters(&self, rows: &[UsageRow], now: Millis) -> Result<usize, StoreError> {
        let mut news = Vec::new();
        for row in rows {
            let Some(tenant) = self.directory.by_id(row.tenant) else { continue };
            let facts = tenant.facts_owned();
            let (limits, window) = (facts.plan.limits, tenant.window(now.day()));
            let mut reached = Vec::new();
            if let Some(limit) = limits.max_api_calls {
                // A day that is over by now is summed up from the store.
                let totals = if row.day == window.day() { window.today() } else { self.day(row).await? };
                reach(
                    &mut reached,
                    "apiCalls",
                    Window::Day(row.day),
                    (limit, facts.calls_per_day),
                    totals.metered.saturating_add(totals.aborted),
                );
            }
            if let Some(limit) = limits.max_bandwidth {
                let month = row.day.month();
                let used = if month == window.day().month() { window.egress_this_month() } else { self.month(row).await? };
                reach(&mut reached, "bandwidth", Window::Month(month), (limit, facts.bytes_per_month), used);
            }
            news.extend(untold(&tenant, reached, now));
        }
        self.tell(news, now).await
    }

    /// Looks at the gauges of these tenants; how many were told.
    pub async fn check_gauges(&self, tenants: &[TenantId], now: Millis) -> Result<usize, StoreError> {
        let mut news = Vec::new();
        for tenant in tenants.iter().filter_map(|id| self.directory.by_id(*id)) {
            let Some(gauges) = tenant.gauges_if_any() else { continue };
            let facts = tenant.facts_owned();
            let mut reached = Vec::new();
            for (month, peak) in gauges.peaks(now.day().month()).into_iter().flatten() {
                reach_gauges(&mut reached, &facts, month, &peak);
            }
            news.extend(untold(&tenant, reached, now));
        }
        self.tell(news, now).await
    }

    /// Looks at all that counts for these tenants, whose limits have changed.
    pub async fn check_limits(&self, tenants: &[TenantId], now: Millis) -> Result<usize, StoreError> {
        let row = |tenant: &TenantId| {
            let day = self.directory.by_id(*tenant)?.window(now.day()).day();
            Some(UsageRow { writer: 0, tenant: *tenant, day, totals: Totals::default() })
        };
        let rows: Vec<UsageRow> = tenants.iter().filter_map(row).collect();
        Ok(self.check_counters(&rows, now).await? + self.check_gauges(tenants, now).await?)
    }

    async fn day(&self, row: &UsageRow) -> Result<Totals, StoreError> {
        let days = self.usage.days(row.tenant, row.day.month()).await?;
        Ok(days.iter().find(|day| day.day == row.day).map_or_else(Totals::default, |day| day.totals))
    }

    async fn month(&self, row: &UsageRow) -> Result<u64, StoreError> {
        let days = self.usage.days(row.tenant, row.day.month()).await?;
        Ok(days.iter().map(|day| day.totals.egress).sum())
    }

    async fn tell(&self, news: Vec<(Arc<TenantRuntime>, Crossing, u64)>, now: Millis) -> Result<usize, StoreError> {
        let mut told =
            stream::iter(news).map(|(tenant, crossing, used)| self.tell_one(tenant, crossing, used, now)).buffer_unordered(AT_ONCE);
        let mut count = 0;
        let mut outcome = Ok(());
        while let Some(one) = told.next().await {
            match one {
                Ok(new) => count += usize::from(new),
                Err(error) => outcome = Err(error),
            }
        }
        outcome.map(|()| count)
    }

    /// True where nobody had told it before.
    async fn tell_one(&self, tenant: Arc<TenantRuntime>, crossing: Crossing, used: u64, now: Millis) -> Result<bool, StoreError> {
        let Crossing { resource, window, limit, percent, is_cap } = crossing;
        let (kind, action) = if is_cap { ("cap", "usage.hard_cap_reached") } else { ("limit", "usage.threshold_reached") };
        let event = json!({
            "resource": resource, "threshold": percent, "limit": limit, "used": used, "window": window.text(), "time": now,
        });
        let id = tenant.id();
        let key = Key::new(Table::Alerts, format!("{id}/{}/{resource}/{kind}/{limit}/{percent}", window.text()));
        let cause = Cause::of("system", now);
        let bytes = encode(&event).map_err(|error| match error {
            TenancyError::Store(error) => error,
            other => StoreError::Refused(other.to_string()),
        })?;
        let tx = Tx {
            preconditions: vec![Precondition::Absent(key.clone())],
            puts: vec![(key, bytes)],
            audit: vec![cause.audit(action, id, None, Some(event))],
            ..Tx::default()
        };
        match self.store.commit(tx).await {
            Ok(_) => {
                tracing::info!(tenant = %id, resource, threshold = percent, limit, used, "usage has reached a threshold");
                tenant.told().add(crossing);
                Ok(true)
            }
            Err(StoreError::Conflict(_)) => {
                tenant.told().add(crossing);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

fn reach_gauges(reached: &mut Vec<(Crossing, u64)>, facts: &Facts, month: Month, peak: &Levels) {
    for gauge in Gauge::ALL {
        if let Some(limit) = facts.plan.limits.of(gauge) {
            reach(reached, gauge.name(), Window::Month(month), (limit, facts.plan.most_of(gauge)), peak.get(gauge));
        }
    }
}

/// Adds every threshold that is reached.
fn reach(reached: &mut Vec<(Crossing, u64)>, resource: &'static str, window: Window, (limit, most): (u64, Option<u64>), used: u64) {
    let over = |percent: &u64| used > 0 && u128::from(used) * 100 >= u128::from(limit) * u128::from(*percent);
    let crossings = THRESHOLDS.into_iter().filter(over);
    reached.extend(crossings.map(|percent| (Crossing { resource, window, limit, percent, is_cap: false }, used)));
    let cap = most.filter(|cap| *cap != limit && used >= *cap);
    reached.extend(cap.map(|limit| (Crossing { resource, window, limit, percent: 100, is_cap: true }, used)));
}

/// Those that were not told; windows that are long over are forgotten.
fn untold(tenant: &Arc<TenantRuntime>, reached: Vec<(Crossing, u64)>, now: Millis) -> Vec<(Arc<TenantRuntime>, Crossing, u64)> {
    if reached.is_empty() {
        return Vec::new();
    }
    let mut told = tenant.told();
    told.forget_before(now.day());
    let new = reached.into_iter().filter(|(crossing, _)| !told.has(crossing));
    new.map(|(crossing, used)| (Arc::clone(tenant), crossing, used)).collect()
}
