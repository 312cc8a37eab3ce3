//! The start: every stored tenant and key is shown to the data plane, with what earlier processes counted since the month
//! began, so that quotas go on where they were. What they counted on later days comes along: the clock may have been wrong.

use std::collections::{HashMap, HashSet};

use super::change::decode;
use super::domains::load_domains;
use super::features::load_rollouts;
use super::gauges::Start;
use super::keys::load_key_uses;
use super::walk::{UsageWalk, Walk};
use super::{PlanMissing, TenancyError, Tenants};
use crate::metering::{GaugeRecord, UserHash, all_active_users};
use crate::model::{Month, Status, Tenant, TenantId};
use crate::store::Table;

/// Why the gateway cannot start with what is stored.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error(transparent)]
    Tenancy(#[from] TenancyError),
    /// A tenant's plan is gone; serving it without limits, or not at all, would be a guess.
    #[error(transparent)]
    Plan(#[from] PlanMissing),
}

/// Publishes all that is stored; how many tenants there are.
pub async fn load(tenants: &Tenants) -> Result<usize, LoadError> {
    load_rollouts(&*tenants.store, &tenants.directory).await?;
    let mut count = 0;
    let mut usage = UsageWalk::since(tenants.clock.now().day().month().first());
    let mut walk = Walk::over(Table::Tenants);
    while let Some(records) = walk.next(&*tenants.store).await? {
        for record in records {
            let tenant = decode::<Tenant>(&record.key, &record.value)?;
            let rows = usage.of(tenant.id, &*tenants.store).await?;
            match tenants.directory.publish_with_usage(&tenant, record.version, &rows) {
                // A deleted tenant needs no plan until it is restored.
                Err(_) if tenant.status == Status::Deleted => {}
                published => published?,
            }
            count += 1;
        }
    }
    load_domains(&*tenants.store, &tenants.directory).await?;
    let mut walk = Walk::over(Table::Keys);
    while let Some(records) = walk.next(&*tenants.store).await? {
        for record in records {
            tenants.directory.publish_key(decode(&record.key, &record.value)?);
        }
    }
    load_key_uses(tenants).await?;
    load_gauges(tenants, tenants.clock.now().day().month()).await?;
    Ok(count)
}

/// Gauges and active users go on where they were.
async fn load_gauges(tenants: &Tenants, this_month: Month) -> Result<(), TenancyError> {
    // Of each tenant, those of its latest month: a clock that was ahead has begun a later one.
    let mut users: HashMap<TenantId, (Month, HashSet<UserHash>)> = HashMap::new();
    for (tenant, month, of_month) in all_active_users(&*tenants.store, this_month).await? {
        let kept = users.entry(tenant).or_insert_with(|| (month, HashSet::new()));
        if month >= kept.0 {
            *kept = (month, of_month);
        }
    }
    let mut walk = Walk::over(Table::Gauges);
    while let Some(records) = walk.next(&*tenants.store).await? {
        for record in records {
            let stored: GaugeRecord = decode(&record.key, &record.value)?;
            let tenant = record.key.id.parse().ok().and_then(|id| tenants.directory.by_id(id));
            let Some(tenant) = tenant else { continue };
            let (of, known) = users.remove(&tenant.id()).unwrap_or((this_month, HashSet::new()));
            let month = stored.month.parse().unwrap_or(this_month).max(this_month).max(of);
            let users = if of == month { known } else { HashSet::new() };
            let goes_on = month.to_string() == stored.month;
            let included = tenant.at(tenants.clock.now()).included;
            // By the plan of now, which may be newer than the last report.
            let over = stored.now.storage.saturating_sub(included.unwrap_or(u64::MAX));
            let (peak, storage_over) = if goes_on { (stored.peak, stored.storage_over.max(over)) } else { (stored.now, over) };
            tenant.start_gauges(Start { levels: stored.now, peak, storage_over, month, users });
        }
    }
    for (id, (month, users)) in users {
        if let Some(tenant) = tenants.directory.by_id(id) {
            let (levels, peak) = Default::default();
            tenant.start_gauges(Start { levels, peak, storage_over: 0, month, users });
        }
    }
    Ok(())
}
