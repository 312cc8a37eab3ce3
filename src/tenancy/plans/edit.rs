//! What the API does to the catalogue: it adds plans, versions and add-ons, and withdraws them. Nothing is taken from those who have it.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::super::change::encode;
use super::{Listed, Source, Stored, audit};
use crate::model::{AddOn, Plan};
use crate::store::{Key, Precondition, StoreError, Table, Tx};
use crate::tenancy::{Cause, TenancyError, Tenants};

/// What became of something that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is there now.
    New,
    /// It is there instead of what was there.
    Instead,
    /// It was there already.
    Known,
}

/// Adds a plan to the catalogue, or the next version of one, unless the newest is just like it. `along` adds to the commit; all of it
/// happens even where the caller goes away meanwhile.
pub async fn add_plan(
    tenants: &Tenants,
    plan: Plan,
    cause: &Cause,
    along: impl FnOnce(&Listed, Added, &mut Tx) -> Result<(), TenancyError> + Send + 'static,
) -> Result<(Listed, Added), TenancyError> {
    let (store, plans, cause) = (Arc::clone(&tenants.store), Arc::clone(&tenants.plans), cause.clone());
    let task = tokio::spawn(async move {
        // Two at once: each gets a version of its own.
        let _turn = plans.turn.lock().await;
        let newest = plans.all(Some(&plan.name)).pop();
        if let Some(newest) = newest.filter(|newest| newest.is_offered && newest.plan.is_like(&plan)) {
            let mut tx = Tx::default();
            along(&newest, Added::Known, &mut tx)?;
            if !tx.puts.is_empty() {
                store.commit(tx).await?;
            }
            return Ok((newest, Added::Known));
        }
        let stored = plans.shelf.load().next(plan, Source::Api, cause.now);
        let mut tx = commit_of(&stored, &cause)?;
        let listed = Listed { plan: Arc::new(stored.plan.clone()), source: stored.source, created_at: stored.created_at, is_offered: true };
        along(&listed, Added::New, &mut tx)?;
        store.commit(tx).await?;
        plans.change(|shelf| shelf.add(stored));
        Ok((listed, Added::New))
    });
    finished(task).await
}

/// Adds an add-on to the catalogue, or replaces one; tenants that have it keep what they bought. `along` adds to the commit.
pub async fn add_add_on(
    tenants: &Tenants,
    add_on: AddOn,
    cause: &Cause,
    along: impl FnOnce(&AddOn, Added, &mut Tx) -> Result<(), TenancyError> + Send + 'static,
) -> Result<Added, TenancyError> {
    let (store, plans, cause) = (Arc::clone(&tenants.store), Arc::clone(&tenants.plans), cause.clone());
    let task = tokio::spawn(async move {
        let _turn = plans.turn.lock().await;
        let (added, action, before) = match plans.add_on(&add_on.name) {
            Some(known) if known == add_on => (Added::Known, "", None),
            Some(known) => (Added::Instead, "add_on.changed", serde_json::to_value(&known).ok()),
            None => (Added::New, "add_on.created", None),
        };
        let mut tx = Tx::default();
        if added != Added::Known {
            tx.puts.push((Key::new(Table::AddOns, add_on.name.clone()), encode(&add_on)?));
            tx.audit.push(audit(&cause, action, before, serde_json::to_value(&add_on).ok()));
        }
        along(&add_on, added, &mut tx)?;
        if !tx.puts.is_empty() {
            store.commit(tx).await?;
        }
        plans.change(|shelf| drop(shelf.add_ons.insert(add_on.name.clone(), add_on)));
        Ok(added)
    });
    finished(task).await
}

/// Offers a plan to nobody any more; its newest version. `None` where there is no such plan.
pub async fn withdraw_plan(tenants: &Tenants, name: &str, cause: &Cause) -> Result<Option<Listed>, TenancyError> {
    let (store, plans, cause, name) = (Arc::clone(&tenants.store), Arc::clone(&tenants.plans), cause.clone(), name.to_owned());
    let task = tokio::spawn(async move {
        let _turn = plans.turn.lock().await;
        let Some(newest) = plans.all(Some(&name)).pop() else { return Ok(None) };
        if !newest.is_offered {
            return Ok(Some(newest));
        }
        let Listed { plan, source, created_at, .. } = newest.clone();
        let stored = Stored { plan: Plan::clone(&plan), source, created_at, is_withdrawn: true };
        let row = audit(&cause, "plan.withdrawn", Some(serde_json::json!({"name": plan.name, "version": plan.version})), None);
        store.commit(Tx { puts: vec![stored.put()?], audit: vec![row], ..Tx::default() }).await?;
        plans.change(|shelf| shelf.add(stored));
        Ok(Some(Listed { is_offered: false, ..newest }))
    });
    finished(task).await
}

/// Sells an add-on to nobody any more; `None` where there is none.
pub async fn withdraw_add_on(tenants: &Tenants, name: &str, cause: &Cause) -> Result<Option<AddOn>, TenancyError> {
    let (store, plans, cause, name) = (Arc::clone(&tenants.store), Arc::clone(&tenants.plans), cause.clone(), name.to_owned());
    let task = tokio::spawn(async move {
        let _turn = plans.turn.lock().await;
        let Some(add_on) = plans.add_on(&name) else { return Ok(None) };
        let row = audit(&cause, "add_on.withdrawn", serde_json::to_value(&add_on).ok(), None);
        store.commit(Tx { deletes: vec![Key::new(Table::AddOns, name.clone())], audit: vec![row], ..Tx::default() }).await?;
        plans.change(|shelf| drop(shelf.add_ons.remove(&name)));
        Ok(Some(add_on))
    });
    finished(task).await
}

async fn finished<T>(task: JoinHandle<Result<T, TenancyError>>) -> Result<T, TenancyError> {
    task.await.map_err(|error| TenancyError::Store(StoreError::Unavailable(format!("the commit was cut off: {error}"))))?
}

pub(super) fn commit_of(stored: &Stored, cause: &Cause) -> Result<Tx, TenancyError> {
    let plan = &stored.plan;
    let (key, value) = stored.put()?;
    // What the configuration says is no change that somebody asked for.
    let row = (stored.source == Source::Api).then(|| audit(cause, "plan.created", None, serde_json::to_value(plan).ok()));
    Ok(Tx {
        preconditions: vec![Precondition::Absent(key.clone())],
        puts: vec![(key, value)],
        audit: row.into_iter().collect(),
        ..Tx::default()
    })
}
