//! The states of a tenant and the moves between them. Every move is one match arm here; nothing else sets a status after
//! creation but a change of plan that ends a trial.
//!
//! | move | from | to |
//! | --- | --- | --- |
//! | suspend | trial, active, past_due | suspended |
//! | activate | trial, past_due | active (a trial ends now) |
//! | activate | suspended, canceled | trial while its trial lasts, past_due where it was, else active |
//! | cancel | trial, active, past_due, suspended | canceled |
//! | delete | all but deleted | deleted; slug and domains become free |
//! | restore | deleted | where it was, if slug and domain are still free; the domain needs a fresh proof |
//!
//! A move to where the tenant is already changes nothing and is no error, except `restore`.

use serde_json::{Value, json};

use super::{Cause, Change, FieldError, TenancyError, Versioned, rules};
use crate::config::Config;
use crate::model::{CustomDomain, Millis, Status, Tenant};

/// What can be done to a tenant's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Refuse its requests until further notice.
    Suspend,
    /// Serve it again.
    Activate,
    /// End its subscription now.
    Cancel,
    /// Take it out of sight; its data stays.
    Delete,
    /// Undo a delete.
    Restore,
}

/// Moves a tenant, which has these `claims` on domains; `reason` is kept with it.
pub fn move_tenant(
    current: &Versioned<Tenant>,
    claims: &[CustomDomain],
    wanted: Move,
    reason: Option<&str>,
    config: &Config,
    cause: &Cause,
) -> Result<Change, TenancyError> {
    if reason.is_some_and(|reason| reason.chars().count() > 500) {
        return Err(TenancyError::Invalid(vec![FieldError::new("/reason", "too_long", "a reason has at most 500 characters")]));
    }
    let Some(to) = target(&current.value, wanted, cause.now)? else { return Ok(Change::nothing(current)) };
    if wanted == Move::Restore {
        // Its plan may have left the configuration while it was deleted; then it could not be served, nor the gateway started.
        rules::plan(&current.value.plan, config).map_err(|error| TenancyError::Invalid(vec![error]))?;
    }
    let from = current.value.status;
    let mut tenant = current.value.clone();
    tenant.status = to;
    tenant.status_reason = reason.map(str::to_owned);
    tenant.updated_at = cause.now;
    tenant.previous_status = (!to.is_served()).then_some(from);
    if wanted == Move::Activate && from == Status::Trial {
        tenant.trial_ends_at = Some(cause.now);
    }
    tenant.deleted_at = (to == Status::Deleted).then_some(cause.now);
    if wanted == Move::Restore && !to.is_served() {
        // What it was before it was suspended or canceled went with the delete; `activate` follows the dates.
        tenant.previous_status = None;
    }
    let mut change = Change::update(current, tenant)?;
    match wanted {
        Move::Delete => change.release_names(claims),
        Move::Restore => change.claim_names()?,
        Move::Suspend | Move::Activate | Move::Cancel => {}
    }
    let (before, after) = (facts(&current.value), facts(&change.tenant));
    change.tx.audit.push(cause.audit(action(wanted), current.value.id, Some(before), Some(after)));
    Ok(change)
}

/// Where the move leads; `None` where the tenant is there already.
fn target(tenant: &Tenant, wanted: Move, now: Millis) -> Result<Option<Status>, TenancyError> {
    use Status::{Active, Canceled, Deleted, PastDue, Suspended, Trial};
    let refuse = |verb, hint| Err(TenancyError::Transition { from: tenant.status, verb, hint });
    match (wanted, tenant.status) {
        (Move::Suspend, Trial | Active | PastDue) => Ok(Some(Suspended)),
        (Move::Suspend, Suspended) => Ok(None),
        (Move::Suspend, Canceled | Deleted) => refuse("suspended", ""),
        (Move::Activate, Trial | PastDue) => Ok(Some(Active)),
        (Move::Activate, Active) => Ok(None),
        (Move::Activate, Suspended | Canceled) => Ok(Some(served_status(tenant, now))),
        (Move::Activate, Deleted) => refuse("activated", "; restore it first"),
        (Move::Cancel, Trial | Active | PastDue | Suspended) => Ok(Some(Canceled)),
        (Move::Cancel, Canceled) => Ok(None),
        (Move::Cancel, Deleted) => refuse("canceled", ""),
        (Move::Delete, Trial | Active | PastDue | Suspended | Canceled) => Ok(Some(Deleted)),
        (Move::Delete, Deleted) => Ok(None),
        (Move::Restore, Deleted) => Ok(Some(tenant.previous_status.unwrap_or_else(|| served_status(tenant, now)))),
        (Move::Restore, Suspended | Canceled) => refuse("restored", "; only deleted tenants are, activate this one"),
        (Move::Restore, Trial | Active | PastDue) => refuse("restored", "; only deleted tenants are"),
    }
}

/// The state that the tenant's dates imply.
fn served_status(tenant: &Tenant, now: Millis) -> Status {
    match tenant.previous_status {
        Some(Status::PastDue) => Status::PastDue,
        _ if tenant.trial_ends_at.is_some_and(|end| end > now) => Status::Trial,
        _ => Status::Active,
    }
}

const fn action(wanted: Move) -> &'static str {
    match wanted {
        Move::Suspend => "tenant.suspended",
        Move::Activate => "tenant.activated",
        Move::Cancel => "tenant.canceled",
        Move::Delete => "tenant.deleted",
        Move::Restore => "tenant.restored",
    }
}

fn facts(tenant: &Tenant) -> Value {
    json!({"status": tenant.status, "statusReason": tenant.status_reason})
}
