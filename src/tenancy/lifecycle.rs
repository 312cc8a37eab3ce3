//! What an operator asks of a tenant's state, and what goes with it: the subscription ends, or goes on. Where each move leads is in
//! `states`.

use serde_json::json;

use super::issuers::claimed;
use super::states::{Move, target};
use super::subscriptions::{begin, end_now, go_on_from, is_over};
use super::{Cause, Change, Desk, FieldError, Metered, TenancyError, Versioned, Work};
use crate::model::{CustomDomain, Status, Tenant};

/// A move as it was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// Which.
    pub wanted: Move,
    /// Why; kept with the tenant.
    pub reason: Option<&'a str>,
    /// Of `cancel`: not before the period is over.
    pub at_period_end: bool,
    /// The tenant's claims on domains; needed for `delete`.
    pub claims: &'a [CustomDomain],
    /// What it has used.
    pub metered: &'a Metered,
}

/// Moves a tenant.
pub fn move_tenant(current: &Versioned<Tenant>, order: &Order<'_>, desk: Desk<'_>, cause: &Cause) -> Result<Change, TenancyError> {
    if order.reason.is_some_and(|reason| reason.chars().count() > 500) {
        return Err(TenancyError::Invalid(vec![FieldError::new("/reason", "too_long", "a reason has at most 500 characters")]));
    }
    let mut work = Work::on(current, desk, cause);
    match order.wanted {
        Move::Cancel if order.at_period_end && cancel_later(&mut work, order)? => return work.done(),
        Move::Activate if go_on(&mut work) => return work.done(),
        _ => {}
    }
    let Some(to) = target(&current.value, order.wanted, cause.now)? else { return Ok(Change::nothing(current)) };
    let from = current.value.status;
    work.tenant.deleted_at = (to == Status::Deleted).then_some(cause.now);
    if order.wanted == Move::Activate && from == Status::Trial {
        work.tenant.trial_ends_at = Some(cause.now);
    }
    if matches!(order.wanted, Move::Cancel | Move::Delete) && from != Status::Canceled {
        refuse_while_paying(&work)?;
        end_now(&mut work, order.metered)?;
    }
    work.move_by(order.wanted, order.reason.map(str::to_owned))?;
    if to == Status::Canceled {
        (work.tenant.subscription.pending, work.tenant.subscription.cancel_at_period_end) = (None, false);
    }
    if order.wanted == Move::Restore && !to.is_served() {
        // What it was before it was suspended or canceled went with the delete; `activate` follows the dates.
        work.tenant.previous_status = None;
    }
    if to.is_served() {
        if matches!(from, Status::Canceled | Status::Deleted) {
            go_on_from(&mut work, order.metered);
        }
        serve_again(&mut work, order.metered)?;
    }
    let is_released = to == Status::Deleted && desk.config.tenancy.keep_deleted.is_zero();
    work.tenant.is_released = is_released;
    let issuers = if is_released { std::mem::take(&mut work.tenant.issuers) } else { Vec::new() };
    let mut change = work.done()?;
    change.tx.deletes.extend(claimed(&issuers));
    if is_released {
        change.release_names(order.claims);
    }
    Ok(change)
}

/// A subscription that was to end with its period, or is to change then, goes on as it is; true where that is all.
fn go_on(work: &mut Work<'_>) -> bool {
    let goes_on = matches!(work.tenant.status, Status::Active | Status::PastDue) && work.tenant.subscription.cancel_at_period_end;
    if goes_on {
        (work.tenant.subscription.cancel_at_period_end, work.tenant.subscription.cancel_reason) = (false, None);
        work.note("tenant.cancel_withdrawn", None, Some(json!({"cancelAtPeriodEnd": false})));
    }
    goes_on
}

/// Cancels to the end of the period or of the trial; false where there is neither, so that it ends now.
fn cancel_later(work: &mut Work<'_>, order: &Order<'_>) -> Result<bool, TenancyError> {
    let now = work.cause.now;
    let end = match work.tenant.status {
        Status::Trial => work.tenant.trial_ends_at,
        Status::Active | Status::PastDue | Status::Suspended => work.tenant.subscription.period.as_ref().map(|period| period.span.end),
        Status::Canceled | Status::Deleted => None,
    };
    let Some(end) = end.filter(|end| *end > now) else { return Ok(false) };
    refuse_while_paying(work)?;
    if !work.tenant.subscription.cancel_at_period_end {
        (work.tenant.subscription.cancel_at_period_end, work.tenant.subscription.cancel_reason) = (true, order.reason.map(str::to_owned));
        let after = json!({"cancelAtPeriodEnd": true, "effectiveAt": end, "reason": order.reason});
        work.note("tenant.cancel_scheduled", None, Some(after));
    }
    Ok(true)
}

/// A tenant is served again: debts have a fresh grace, and where its period is over, or there was none, one begins.
fn serve_again(work: &mut Work<'_>, metered: &Metered) -> Result<(), TenancyError> {
    let now = work.cause.now;
    work.tenant.subscription.open.iter_mut().filter(|owed| owed.failed_at.is_some()).for_each(|owed| owed.failed_at = Some(now));
    if work.tenant.status != Status::Trial && is_over(work)? {
        begin(work, now, metered)?;
    }
    Ok(())
}

/// Money may be on its way for a change.
fn refuse_while_paying(work: &Work<'_>) -> Result<(), TenancyError> {
    match &work.tenant.subscription.awaiting {
        Some(_) => {
            Err(TenancyError::Transition { from: work.tenant.status, verb: "canceled", hint: " while a change waits for its payment" })
        }
        None => Ok(()),
    }
}
