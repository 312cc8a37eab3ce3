//! The state machine of a tenant: all states, and every move between them, whoever makes it.
//!
//! | move | from | to |
//! | --- | --- | --- |
//! | it is created | – | trial; active where its plan has no price |
//! | **asked for** | | |
//! | suspend | trial, active, past_due | suspended |
//! | activate | trial | active: the trial ends and the first period begins now |
//! | activate | suspended, canceled | what dates and invoices imply: trial while it lasts, past_due with an overdue invoice (and a fresh grace), else active; where the period is over, a new one begins |
//! | cancel | trial, active, past_due, suspended | canceled, now or at the period's end |
//! | delete | all but deleted | deleted; slug and domains are kept for it for a while, then they become free |
//! | restore | deleted, not yet released | where it was; canceled, where it was to end meanwhile |
//! | **by the clock** | | |
//! | trial ends | trial | active, and the first period begins; suspended or active on the free plan, where the configuration says so of a tenant without payment method |
//! | canceled to the end | trial, active, past_due, suspended | canceled |
//! | falls behind | active | past_due: an invoice is overdue |
//! | stays unpaid | past_due | suspended, after the grace |
//! | **by payments and changes** | | |
//! | falls behind | active | past_due: a charge was declined |
//! | settled | past_due, suspended unpaid | active, once nothing is overdue or declined any more |
//! | given up | past_due | suspended, where nothing else is overdue or declined; paid all the same, it is settled |
//! | trial not needed | trial | active: another plan, without a price |
//!
//! A move to where the tenant is already changes nothing and is no error, except `restore`.

use super::TenancyError;
use crate::model::{Millis, Status, Tenant};

/// What moves a tenant to another state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// An operator: refuse its requests until further notice.
    Suspend,
    /// An operator: serve it again.
    Activate,
    /// An operator: end its subscription.
    Cancel,
    /// An operator: take it out of sight; its data stays.
    Delete,
    /// An operator: undo a delete.
    Restore,
    /// The trial is over.
    TrialEnds,
    /// The trial is over, and without a payment method that is the end.
    TrialEndsUnpaid,
    /// There is nothing to try any more.
    TrialNotNeeded,
    /// The period or trial is over to the end of which it was canceled.
    CanceledToTheEnd,
    /// An invoice is overdue, or a charge was declined.
    FallsBehind,
    /// It was past due for too long.
    StaysUnpaid,
    /// An invoice that it was past due with will not be paid.
    GivenUp,
    /// An invoice is not owed any more.
    Settled,
}

impl Move {
    /// Every move.
    pub const ALL: [Move; 13] = [
        Move::Suspend,
        Move::Activate,
        Move::Cancel,
        Move::Delete,
        Move::Restore,
        Move::TrialEnds,
        Move::TrialEndsUnpaid,
        Move::TrialNotNeeded,
        Move::CanceledToTheEnd,
        Move::FallsBehind,
        Move::StaysUnpaid,
        Move::GivenUp,
        Move::Settled,
    ];

    /// The action in the audit log.
    pub const fn action(self) -> &'static str {
        match self {
            Move::Suspend | Move::TrialEndsUnpaid | Move::StaysUnpaid | Move::GivenUp => "tenant.suspended",
            Move::Activate | Move::TrialEnds | Move::TrialNotNeeded | Move::Settled => "tenant.activated",
            Move::Cancel | Move::CanceledToTheEnd => "tenant.canceled",
            Move::Delete => "tenant.deleted",
            Move::Restore => "tenant.restored",
            Move::FallsBehind => "tenant.past_due",
        }
    }

    /// Whether the tenant is suspended for its debts after it, so that paying them brings it back; `before` is what was before.
    pub const fn is_for_debts(self, before: bool) -> bool {
        match self {
            Move::StaysUnpaid | Move::GivenUp => true,
            Move::Delete | Move::Restore => before,
            Move::Suspend
            | Move::Activate
            | Move::Cancel
            | Move::TrialEnds
            | Move::TrialEndsUnpaid
            | Move::TrialNotNeeded
            | Move::CanceledToTheEnd
            | Move::FallsBehind
            | Move::Settled => false,
        }
    }
}

/// Where a move leads; `None` where the tenant stays as it is.
///
/// # Errors
///
/// There is no such move from where the tenant is.
pub fn target(tenant: &Tenant, wanted: Move, now: Millis) -> Result<Option<Status>, TenancyError> {
    use Status::{Active, Canceled, Deleted, PastDue, Suspended, Trial};
    let refuse = |verb, hint| Err(TenancyError::Transition { from: tenant.status, verb, hint });
    let implied = || implied_status(tenant, now);
    match (wanted, tenant.status) {
        (Move::Suspend, Trial | Active | PastDue) => Ok(Some(Suspended)),
        (Move::Suspend, Suspended) => Ok(None),
        (Move::Suspend, Canceled | Deleted) => refuse("suspended", ""),
        (Move::Activate, Trial) => Ok(Some(Active)),
        (Move::Activate, Active | PastDue) => Ok(None),
        (Move::Activate, Suspended | Canceled) => Ok(Some(implied())),
        (Move::Activate, Deleted) => refuse("activated", "; restore it first"),
        (Move::Cancel, Trial | Active | PastDue | Suspended) => Ok(Some(Canceled)),
        (Move::Cancel, Canceled) => Ok(None),
        (Move::Cancel, Deleted) => refuse("canceled", ""),
        (Move::Delete, Trial | Active | PastDue | Suspended | Canceled) => Ok(Some(Deleted)),
        (Move::Delete, Deleted) => Ok(None),
        (Move::Restore, Deleted) if tenant.is_released => {
            refuse("restored", ": its slug and domains have become free for others meanwhile")
        }
        (Move::Restore, Deleted) => Ok(Some(match tenant.previous_status {
            Some(Suspended) => Suspended,
            Some(Canceled) => Canceled,
            _ if was_to_end(tenant, now) => Canceled,
            _ => implied(),
        })),
        (Move::Restore, Suspended | Canceled) => refuse("restored", "; only deleted tenants are, activate this one"),
        (Move::Restore, Trial | Active | PastDue) => refuse("restored", "; only deleted tenants are"),
        (Move::TrialEnds, Trial) => Ok(Some(Active)),
        (Move::TrialEndsUnpaid, Trial) => Ok(Some(Suspended)),
        (Move::TrialNotNeeded, Trial) => Ok(Some(Active)),
        (Move::TrialEnds | Move::TrialEndsUnpaid | Move::TrialNotNeeded, Active | PastDue | Suspended | Canceled | Deleted) => {
            refuse("past a trial", "")
        }
        (Move::CanceledToTheEnd, Trial | Active | PastDue | Suspended) => Ok(Some(Canceled)),
        (Move::CanceledToTheEnd, Canceled | Deleted) => refuse("canceled", ""),
        (Move::FallsBehind, Active) => Ok(Some(PastDue)),
        (Move::FallsBehind, Trial | PastDue | Suspended | Canceled | Deleted) => Ok(None),
        (Move::StaysUnpaid, PastDue) => Ok(Some(Suspended)),
        (Move::StaysUnpaid, Trial | Active | Suspended | Canceled | Deleted) => refuse("suspended as unpaid", ""),
        (Move::GivenUp, PastDue) => Ok((implied() == Active).then_some(Suspended)),
        (Move::GivenUp, Trial | Active | Suspended | Canceled | Deleted) => Ok(None),
        (Move::Settled, PastDue) => Ok(Some(Active).filter(|_| implied() == Active)),
        (Move::Settled, Suspended) => Ok(Some(Active).filter(|_| tenant.subscription.is_suspended_unpaid && implied() == Active)),
        (Move::Settled, Trial | Active | Canceled | Deleted) => Ok(None),
    }
}

/// Whether it was canceled to the end of a period or trial that is over.
fn was_to_end(tenant: &Tenant, now: Millis) -> bool {
    let end = tenant.subscription.period.as_ref().map(|period| period.span.end).or(tenant.trial_ends_at);
    tenant.subscription.cancel_at_period_end && end.is_some_and(|end| end <= now)
}

/// The state that dates and invoices imply for a tenant that is served.
fn implied_status(tenant: &Tenant, now: Millis) -> Status {
    match &tenant.subscription {
        _ if tenant.trial_ends_at.is_some_and(|end| end > now) && tenant.subscription.period.is_none() => Status::Trial,
        subscription if subscription.open.iter().any(|owed| owed.failed_at.is_some()) => Status::PastDue,
        _ => Status::Active,
    }
}
