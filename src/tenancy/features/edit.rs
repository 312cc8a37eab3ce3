//! Roll-outs of flags: read at the start, changed by operators. A change is committed with its audit row, and has come to every
//! tenant when it is answered.

use std::sync::Arc;

use super::super::change::{decode, encode};
use super::super::plans::audit;
use super::super::walk::Walk;
use super::super::{Cause, Directory, FieldError, TenancyError, Tenants, rules};
use super::Rollouts;
use crate::model::{Percentage, Rollout, RolloutBy};
use crate::store::{Key, Store, StoreError, Table, Tx};

/// Each of them is looked at for each tenant, and goes into one header field where it is on.
const MOST_ROLLOUTS: usize = 200;
const MOST_PLANS: usize = 100;

/// How a flag shall be rolled out.
#[derive(Debug, Clone)]
pub struct NewRollout {
    /// Name of the flag.
    pub flag: String,
    /// To how many.
    pub percentage: Percentage,
    /// Of what.
    pub by: RolloutBy,
    /// Only on these plans.
    pub plans: Option<Vec<String>>,
    /// For operators.
    pub description: Option<String>,
}

/// Shows what is stored; before there are tenants.
pub(in crate::tenancy) async fn load_rollouts(store: &dyn Store, directory: &Directory) -> Result<(), TenancyError> {
    let mut rollouts = Rollouts::clone(&directory.rollouts());
    let mut walk = Walk::over(Table::Rollouts);
    while let Some(records) = walk.next(store).await? {
        for record in records {
            let rollout: Rollout = decode(&record.key, &record.value)?;
            rollouts.by_flag.insert(rollout.flag.clone(), Arc::new(rollout));
        }
    }
    directory.show_rollouts(rollouts).await;
    Ok(())
}

/// Rolls a flag out, or changes how it is; nothing where it is so already. All of it happens even where the caller goes away.
pub async fn set_rollout(tenants: &Tenants, new: NewRollout, cause: &Cause) -> Result<Arc<Rollout>, TenancyError> {
    let new = checked(tenants, new).map_err(TenancyError::Invalid)?;
    let (store, directory, cause) = (Arc::clone(&tenants.store), Arc::clone(&tenants.directory), cause.clone());
    finished(tokio::spawn(async move {
        let _turn = directory.rolling().lock().await;
        let mut rollouts = Rollouts::clone(&directory.rollouts());
        let NewRollout { flag, percentage, by, plans, description } = new;
        let before = rollouts.by_flag.get(&flag).cloned();
        let updated_at = before.as_ref().map_or(cause.now, |before| before.updated_at);
        let mut rollout = Rollout { flag, percentage, by, plans, description, updated_at };
        if let Some(before) = before.as_ref().filter(|before| ***before == rollout) {
            return Ok(Arc::clone(before));
        }
        if before.is_none() && rollouts.by_flag.len() >= MOST_ROLLOUTS {
            let detail =
                format!("there are {MOST_ROLLOUTS} roll-outs already; remove one that has come to everybody and put it into the plans");
            return Err(TenancyError::Invalid(vec![FieldError::new("", "too_many", detail)]));
        }
        rollout.updated_at = cause.now;
        let row =
            audit(&cause, "feature.rolled_out", before.and_then(|it| serde_json::to_value(&*it).ok()), serde_json::to_value(&rollout).ok());
        store.commit(Tx { puts: vec![(key(&rollout.flag), encode(&rollout)?)], audit: vec![row], ..Tx::default() }).await?;
        let rollout = Arc::new(rollout);
        rollouts.by_flag.insert(rollout.flag.clone(), Arc::clone(&rollout));
        directory.show_rollouts(rollouts).await;
        Ok(rollout)
    }))
    .await
}

/// Ends the roll-out of a flag: it is off where nothing else decides. `None` where there is none.
pub async fn remove_rollout(tenants: &Tenants, flag: &str, cause: &Cause) -> Result<Option<Arc<Rollout>>, TenancyError> {
    let (store, directory, cause, flag) = (Arc::clone(&tenants.store), Arc::clone(&tenants.directory), cause.clone(), flag.to_owned());
    finished(tokio::spawn(async move {
        let _turn = directory.rolling().lock().await;
        let mut rollouts = Rollouts::clone(&directory.rollouts());
        let Some(removed) = rollouts.by_flag.remove(&flag) else { return Ok(None) };
        let row = audit(&cause, "feature.rollout_removed", serde_json::to_value(&*removed).ok(), None);
        store.commit(Tx { deletes: vec![key(&flag)], audit: vec![row], ..Tx::default() }).await?;
        directory.show_rollouts(rollouts).await;
        Ok(Some(removed))
    }))
    .await
}

/// What is asked for, each plan named once and in order; or all that is wrong with it.
fn checked(tenants: &Tenants, mut new: NewRollout) -> Result<NewRollout, Vec<FieldError>> {
    let mut errors = Vec::new();
    errors.extend(rules::flag(&new.flag, "/percentage", new.percentage.parts() > 0, &tenants.config).err());
    if new.description.as_ref().is_some_and(|text| text.chars().count() > 200 || text.chars().any(char::is_control)) {
        errors.push(FieldError::new("/description", "invalid", "a description has at most 200 characters"));
    }
    if let Some(plans) = &mut new.plans {
        if !(1..=MOST_PLANS).contains(&plans.len()) {
            errors.push(FieldError::new("/plans", "invalid", format!("1 to {MOST_PLANS} names of plans; leave it out for all plans")));
        }
        for (at, plan) in plans.iter().take(MOST_PLANS).enumerate() {
            errors.extend(rules::known_plan(plan, &format!("/plans/{at}"), &tenants.plans).err());
        }
        plans.sort();
        plans.dedup();
    }
    if errors.is_empty() { Ok(new) } else { Err(errors) }
}

fn key(flag: &str) -> Key {
    Key::new(Table::Rollouts, flag)
}

async fn finished<T>(task: tokio::task::JoinHandle<Result<T, TenancyError>>) -> Result<T, TenancyError> {
    task.await.map_err(|error| TenancyError::Store(StoreError::Unavailable(format!("the commit was cut off: {error}"))))?
}
