//! What is due next for a tenant, and when. It is all in the tenant's record, so that the agenda can be made anew at any time.

use crate::config::Config;
use crate::model::{InvoiceId, Millis, Status, Tenant};

/// What has to be done for a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// Its slug and domains become free for others.
    Release,
    /// The provider is asked for the money of an invoice.
    Collect(InvoiceId),
    /// The provider is asked to give back the money of a credit note.
    Refund,
    /// An invoice was not paid in time.
    Overdue(InvoiceId),
    /// It was past due for too long.
    Suspend,
    /// Its trial is over.
    EndTrial,
    /// Its period is over.
    Renew,
}

/// The earliest of all that is due, now or later. What falls on the same moment is done in the order of [`Duty`]: who is to be
/// suspended begins no new period.
pub fn next_duty(tenant: &Tenant, config: &Config) -> Option<(Millis, Duty)> {
    duties(tenant, config).into_iter().flatten().min()
}

fn duties(tenant: &Tenant, config: &Config) -> [Option<(Millis, Duty)>; 7] {
    let subscription = &tenant.subscription;
    let gone = (tenant.status == Status::Deleted && !tenant.is_released).then_some(tenant.deleted_at).flatten();
    let release = gone.map(|gone| (gone.plus(config.tenancy.keep_deleted), Duty::Release));
    // Debts stay debts when a tenant is suspended or leaves.
    let is_debtor = tenant.status != Status::Deleted;
    let collect = subscription.open.iter().filter(|_| is_debtor).filter_map(|owed| Some((owed.try_at?, Duty::Collect(owed.invoice)))).min();
    let refund = subscription.refunds.iter().map(|one| (one.try_at, Duty::Refund)).min();
    // A change that is paid first is not owed before it is made.
    let waits = subscription.awaiting.as_ref().map(|awaiting| awaiting.invoice);
    let late = subscription.open.iter().filter(|owed| is_debtor && owed.failed_at.is_none() && Some(owed.invoice) != waits);
    let overdue = late.map(|owed| (owed.due_at, Duty::Overdue(owed.invoice))).min();
    let failed = subscription.open.iter().filter(|_| tenant.status == Status::PastDue).filter_map(|owed| owed.failed_at).min();
    let suspend = failed.map(|failed| (failed.plus_days(i64::from(config.billing.grace_days)), Duty::Suspend));
    let trial = tenant.trial_ends_at.filter(|_| tenant.status == Status::Trial).map(|end| (end, Duty::EndTrial));
    // A suspended tenant starts no new period, but one that was canceled to the end of it ends.
    let goes_on = matches!(tenant.status, Status::Active | Status::PastDue);
    let ends = tenant.status == Status::Suspended && subscription.cancel_at_period_end;
    let renew = subscription.period.as_ref().filter(|_| goes_on || ends).map(|period| (period.span.end, Duty::Renew));
    [release, collect, refund, overdue, suspend, trial, renew]
}
