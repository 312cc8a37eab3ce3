//! Invoices are paid, declined, overdue, void or given up; the tenant's state follows what it owes.

use serde_json::json;

use super::Desk;
use super::change::adopt;
use super::charged::{recharge, taken_off_by, uncharge};
use super::metered::Metered;
use super::period::{begin, is_over};
use super::work::{Work, invoice_facts};
use crate::model::invoice::{Attempt, Payment};
use crate::model::{Invoice, InvoiceId, InvoiceStatus, Millis, Money, Status, Tenant};
use crate::tenancy::states::Move;
use crate::tenancy::{Cause, Change, TenancyError, Versioned};

/// An invoice is paid, by what `payment` says.
pub fn pay_invoice(
    (current, invoice): (&Versioned<Tenant>, &Versioned<Invoice>),
    payment: Payment,
    desk: Desk<'_>,
    metered: &Metered,
    cause: &Cause,
) -> Result<Change, TenancyError> {
    let mut work = Work::on(current, desk, cause);
    if invoice.value.standing.status == InvoiceStatus::Paid {
        let before = invoice.value.standing.payment.as_ref();
        if payment.reference.is_none() || before.is_some_and(|before| before.reference == payment.reference) {
            return work.done();
        }
        let by = before.map_or("", |before| before.reference.as_deref().unwrap_or(before.provider.as_str()));
        let number = &invoice.value.issued.number;
        return Err(TenancyError::Invoice(format!(
            "invoice {number} is paid already (`{by}`); what came twice is to be given back by hand"
        )));
    }
    expect(&invoice.value, "paid", &[InvoiceStatus::Open, InvoiceStatus::Uncollectible])?;
    not_under_way(&work, invoice.value.id)?;
    paid(&mut work, invoice, payment, None, metered)?;
    work.done()
}

/// As much of an open invoice as there is credit is paid with it.
pub fn pay_from_credit(
    (current, invoice): (&Versioned<Tenant>, &Versioned<Invoice>),
    desk: Desk<'_>,
    metered: &Metered,
    cause: &Cause,
) -> Result<Change, TenancyError> {
    let mut work = Work::on(current, desk, cause);
    expect(&invoice.value, "paid from credit", &[InvoiceStatus::Open])?;
    not_under_way(&work, invoice.value.id)?;
    let used = invoice.value.standing.due.min(work.tenant.subscription.credit);
    if used.0 <= 0 {
        return Err(TenancyError::Invoice("the tenant has no credit that could pay it".to_owned()));
    }
    work.tenant.subscription.credit = work.tenant.subscription.credit - used;
    let mut after = invoice.clone();
    let standing = &mut after.value.standing;
    (standing.due, standing.from_credit) = (standing.due - used, standing.from_credit + used);
    let left = standing.due;
    work.note("invoice.credit_used", None, Some(json!({"id": after.value.id, "number": after.value.issued.number, "amountMinor": used})));
    if left.is_zero() {
        closed(&mut work, &after, (Money(0), Payment::without_money(Payment::CREDIT)), None, metered)?;
    } else {
        work.tenant.subscription.open.iter_mut().filter(|owed| owed.invoice == after.value.id).for_each(|owed| owed.due = left);
        work.restate(invoice, &after.value)?;
    }
    work.done()
}

/// The provider is to be asked for the money of an invoice now, whatever the schedule says.
pub fn collect_invoice(
    (current, invoice): (&Versioned<Tenant>, &Versioned<Invoice>),
    desk: Desk<'_>,
    cause: &Cause,
) -> Result<Change, TenancyError> {
    let mut work = Work::on(current, desk, cause);
    expect(&invoice.value, "collected", &[InvoiceStatus::Open])?;
    not_under_way(&work, invoice.value.id)?;
    if let Some(owed) = work.tenant.subscription.open.iter_mut().find(|owed| owed.invoice == invoice.value.id) {
        owed.try_at = Some(cause.now);
    }
    work.note("invoice.collection_requested", None, Some(invoice_facts(&invoice.value)));
    work.done()
}

/// An invoice was issued by mistake: it is owed no more, and the credit that it has used is there again. Not where one of the `later`
/// invoices of the tenant has given a part of it back.
pub fn void_invoice(
    (current, invoice): (&Versioned<Tenant>, &Versioned<Invoice>),
    later: &[Invoice],
    reason: Option<String>,
    desk: Desk<'_>,
    metered: &Metered,
    cause: &Cause,
) -> Result<Change, TenancyError> {
    let mut work = Work::on(current, desk, cause);
    if invoice.value.standing.status == InvoiceStatus::Void {
        return work.done();
    }
    expect(&invoice.value, "voided", &[InvoiceStatus::Open, InvoiceStatus::Uncollectible])?;
    not_under_way(&work, invoice.value.id)?;
    if let Some(by) = taken_off_by(later, &invoice.value.issued) {
        return Err(TenancyError::Invoice(format!(
            "invoice {} cannot be voided: {} has taken off a part of what it charges; void that one first, or, where it is paid, \
             take back what is left with a credit note",
            invoice.value.issued.number, by.issued.number
        )));
    }
    voided(&mut work, (invoice, later), reason)?;
    reinstate(&mut work, metered)?;
    work.done()
}

/// Nobody expects an invoice to be paid any more. A tenant that was past due with it is served no longer. Not while there is credit
/// that pays a part of it.
pub fn give_up_invoice(
    (current, invoice): (&Versioned<Tenant>, &Versioned<Invoice>),
    later: &[Invoice],
    reason: Option<String>,
    desk: Desk<'_>,
    cause: &Cause,
) -> Result<Change, TenancyError> {
    let mut work = Work::on(current, desk, cause);
    if invoice.value.standing.status == InvoiceStatus::Uncollectible {
        return work.done();
    }
    expect(&invoice.value, "given up", &[InvoiceStatus::Open])?;
    not_under_way(&work, invoice.value.id)?;
    let (credit, currency) = (work.tenant.subscription.credit, &invoice.value.issued.currency);
    if credit.0 > 0 {
        let hint = "pay with that first: `pay` with `fromCredit`";
        return Err(TenancyError::Invoice(format!("the tenant has a credit of {}; {hint}", credit.shown(currency))));
    }
    let mut after = invoice.value.clone();
    let standing = &mut after.standing;
    (standing.status, standing.since, standing.remark) = (InvoiceStatus::Uncollectible, cause.now, reason);
    let was_failed = forget(&mut work.tenant, after.id);
    if work.tenant.subscription.awaiting.take_if(|awaiting| awaiting.invoice == after.id).is_none() {
        uncharge(&mut work, &after.issued, later)?;
    }
    work.restate(invoice, &after)?;
    work.note("invoice.uncollectible", None, Some(with_remark(&after)));
    if was_failed {
        work.move_by(Move::GivenUp, Some(format!("invoice {} will not be paid", after.issued.number)))?;
    }
    work.done()
}

/// An invoice was not paid in time: the tenant is past due.
pub(super) fn overdue(work: &mut Work<'_>, invoice: &Invoice, at: Millis) -> Result<(), TenancyError> {
    let Some(owed) = work.tenant.subscription.open.iter_mut().find(|owed| owed.invoice == invoice.id) else { return Ok(()) };
    owed.failed_at = Some(at);
    let mut facts = invoice_facts(invoice);
    facts["dueMinor"] = json!(owed.due);
    work.note("invoice.overdue", None, Some(facts));
    work.move_by(Move::FallsBehind, Some("an invoice is overdue".to_owned()))?;
    Ok(())
}

/// The provider has declined. It is tried again after the next of the waits, unless that makes no sense.
pub(super) fn declined(work: &mut Work<'_>, invoice: &Versioned<Invoice>, attempt: Attempt, metered: &Metered) -> Result<(), TenancyError> {
    let now = work.cause.now;
    let mut after = invoice.value.clone();
    after.standing.attempts.push(attempt.clone());
    let waits = &work.desk.config.billing.retry;
    let awaits = work.tenant.subscription.awaiting.as_ref().is_some_and(|awaiting| awaiting.invoice == after.id);
    let mut facts = invoice_facts(&after);
    facts["attempt"] = json!({"number": attempt.number, "code": attempt.code, "message": attempt.message, "isHard": attempt.is_hard});
    if awaits {
        // The change is not made, so it is not owed either.
        work.note("invoice.payment_failed", None, Some(facts));
        let reason = attempt.message.unwrap_or_else(|| "the payment was declined".to_owned());
        voided(work, (&Versioned { value: after, version: invoice.version }, &[]), Some(format!("the payment was declined: {reason}")))?;
        return reinstate(work, metered);
    }
    if let Some(owed) = work.tenant.subscription.open.iter_mut().find(|owed| owed.invoice == after.id) {
        let wait = waits.get(after.standing.attempts.len().saturating_sub(1)).filter(|_| !attempt.is_hard);
        owed.try_at = wait.map(|wait| now.plus(*wait));
        (owed.is_trying, owed.payment) = (false, None);
        owed.failed_at = owed.failed_at.or(Some(now));
        facts["nextAttemptAt"] = json!(owed.try_at);
    }
    work.restate(invoice, &after)?;
    work.note("invoice.payment_failed", None, Some(facts));
    work.move_by(Move::FallsBehind, Some("a payment was declined".to_owned()))?;
    Ok(())
}

/// So little is left of an invoice that nobody can charge it: it is owed with the next one.
pub(super) fn left_for_next(work: &mut Work<'_>, invoice: &Versioned<Invoice>, metered: &Metered) -> Result<(), TenancyError> {
    let due = invoice.value.standing.due;
    work.tenant.subscription.credit = work.tenant.subscription.credit - due;
    closed(work, invoice, (Money(0), Payment::without_money(Payment::NEXT_INVOICE)), None, metered)
}

/// The invoice is paid; what waited for it happens, and the tenant is served again.
pub(super) fn paid(
    work: &mut Work<'_>,
    invoice: &Versioned<Invoice>,
    payment: Payment,
    attempt: Option<Attempt>,
    metered: &Metered,
) -> Result<(), TenancyError> {
    closed(work, invoice, (invoice.value.standing.due, payment), attempt, metered)
}

fn closed(
    work: &mut Work<'_>,
    invoice: &Versioned<Invoice>,
    (money, payment): (Money, Payment),
    attempt: Option<Attempt>,
    metered: &Metered,
) -> Result<(), TenancyError> {
    let mut after = invoice.value.clone();
    if after.standing.status == InvoiceStatus::Uncollectible {
        recharge(work, &after.issued);
    }
    let standing = &mut after.standing;
    standing.status = InvoiceStatus::Paid;
    standing.since = work.cause.now;
    standing.paid = money;
    standing.due = Money(0);
    standing.paid_at = Some(work.cause.now);
    standing.payment = Some(payment);
    // It was given up, and is paid all the same.
    standing.remark = None;
    standing.attempts.extend(attempt);
    forget(&mut work.tenant, after.id);
    work.restate(invoice, &after)?;
    let mut facts = invoice_facts(&after);
    facts["payment"] = json!(after.standing.payment);
    work.note("invoice.paid", None, Some(facts));
    if let Some(awaiting) = work.tenant.subscription.awaiting.take_if(|awaiting| awaiting.invoice == after.id) {
        if matches!(work.tenant.status, Status::Canceled | Status::Deleted) {
            // The subscription has ended before the money came: the change is not made, so it is due to the tenant, with the
            // balance that went into it.
            let due = after.standing.paid + after.standing.from_credit + after.issued.balance_used();
            work.tenant.subscription.credit = work.tenant.subscription.credit + due;
            work.note("subscription.change_lapsed", None, Some(json!({"id": after.id, "creditMinor": due})));
        } else {
            adopt(work, awaiting.terms);
            (work.tenant.subscription.period, work.tenant.subscription.rated) = (awaiting.period, awaiting.rated);
        }
    }
    reinstate(work, metered)
}

/// A tenant that owes nothing any more is active again; where its period is over meanwhile, a new one begins.
pub(super) fn reinstate(work: &mut Work<'_>, metered: &Metered) -> Result<(), TenancyError> {
    let was_suspended = work.tenant.status == Status::Suspended;
    let comes_back = work.move_by(Move::Settled, Some("all invoices are paid".to_owned()))?;
    if comes_back && was_suspended && is_over(work)? {
        begin(work, work.cause.now, metered)?;
    }
    Ok(())
}

fn voided(work: &mut Work<'_>, (invoice, later): (&Versioned<Invoice>, &[Invoice]), reason: Option<String>) -> Result<(), TenancyError> {
    let mut after = invoice.value.clone();
    let standing = &mut after.standing;
    (standing.status, standing.since, standing.remark) = (InvoiceStatus::Void, work.cause.now, reason);
    standing.due = Money(0);
    forget(&mut work.tenant, after.id);
    if work.tenant.subscription.awaiting.take_if(|awaiting| awaiting.invoice == after.id).is_none() {
        uncharge(work, &after.issued, later)?;
    }
    // Below zero where what it was rounded up by is used up by now, or where it had what was left of an earlier one.
    work.tenant.subscription.credit = work.tenant.subscription.credit + after.issued.balance_used() + after.standing.from_credit;
    after.standing.from_credit = Money(0);
    work.restate(invoice, &after)?;
    work.note("invoice.voided", None, Some(with_remark(&after)));
    Ok(())
}

/// Why it is void or given up is told as well.
fn with_remark(invoice: &Invoice) -> serde_json::Value {
    let mut facts = invoice_facts(invoice);
    facts["remark"] = json!(invoice.standing.remark);
    facts
}

/// Takes an invoice off what a tenant owes; true where it had fallen behind with it.
pub(super) fn forget(tenant: &mut Tenant, invoice: InvoiceId) -> bool {
    let open = &mut tenant.subscription.open;
    let failed = open.iter().any(|owed| owed.invoice == invoice && owed.failed_at.is_some());
    open.retain(|owed| owed.invoice != invoice);
    failed
}

pub(super) fn expect(invoice: &Invoice, verb: &str, allowed: &[InvoiceStatus]) -> Result<(), TenancyError> {
    if allowed.contains(&invoice.standing.status) {
        return Ok(());
    }
    let (number, status) = (&invoice.issued.number, invoice.standing.status.as_str());
    Err(TenancyError::Invoice(format!("invoice {number} is {status} and cannot be {verb}")))
}

/// Money may be on its way.
fn not_under_way(work: &Work<'_>, invoice: InvoiceId) -> Result<(), TenancyError> {
    let owed = work.tenant.subscription.open.iter().find(|owed| owed.invoice == invoice);
    if owed.is_some_and(|owed| owed.is_trying || owed.payment.is_some()) {
        return Err(TenancyError::Invoice("its payment is under way; wait for the outcome".to_owned()));
    }
    Ok(())
}
