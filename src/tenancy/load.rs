//! The start: every stored tenant and key is shown to the data plane, with what earlier processes counted since the month
//! began, so that quotas go on where they were. What they counted on later days comes along: the clock may have been wrong.

use super::change::decode;
use super::walk::{UsageWalk, Walk};
use super::{PlanMissing, TenancyError, Tenants};
use crate::model::{Status, Tenant};
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
    let mut walk = Walk::over(Table::Keys);
    while let Some(records) = walk.next(&*tenants.store).await? {
        for record in records {
            tenants.directory.publish_key(decode(&record.key, &record.value)?);
        }
    }
    Ok(count)
}
