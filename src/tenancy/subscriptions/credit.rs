//! Credit notes: an issued invoice never changes, so what is taken back of it has a paper of its own, with a number of its own.

use serde_json::json;

use super::Desk;
use super::charged::{given_back, uncharge};
use super::metered::Metered;
use super::settle::{expect, forget, reinstate};
use super::work::Work;
use crate::model::invoice::{CreditNote, CreditOutcome, Payment};
use crate::model::subscription::Refunding;
use crate::model::{CreditNoteId, Invoice, InvoiceStatus, Millis, Money, Tenant};
use crate::tenancy::{Cause, Change, FieldError, TenancyError, Versioned};

/// What shall be credited.
#[derive(Debug, Clone)]
pub struct Credit {
    /// How much, tax included; all that is left where none is said.
    pub amount: Option<Money>,
    /// Why.
    pub reason: Option<String>,
    /// Of a paid invoice: given back, instead of taken off the next invoices.
    pub refund: bool,
}

/// Credits a part of an invoice, or all of it: of an open one less is to be paid, of a paid one it is due to the tenant. At most what is
/// left of it beside what the `later` invoices of the tenant have taken off.
pub fn credit_invoice(
    (current, invoice): (&Versioned<Tenant>, &Versioned<Invoice>),
    later: &[Invoice],
    credit: &Credit,
    desk: Desk<'_>,
    metered: &Metered,
    cause: &Cause,
) -> Result<Change, TenancyError> {
    expect(&invoice.value, "credited", &[InvoiceStatus::Open, InvoiceStatus::Paid])?;
    let mut work = Work::on(current, desk, cause);
    let mut after = invoice.value.clone();
    let gone = given_back(later, &after.issued);
    let left = left(&after, credit.refund, gone);
    let amount = credit.amount.unwrap_or(left);
    let currency = &after.issued.currency;
    let is_open = after.standing.status == InvoiceStatus::Open;
    if is_open && credit.refund {
        let detail = "an open invoice has not been paid, so there is nothing to give back; leave `refund` out";
        return Err(TenancyError::Invalid(vec![FieldError::new("/refund", "invalid", detail)]));
    }
    if left.0 <= 0 {
        let what = match (credit.refund, gone.is_zero()) {
            (true, _) => "nothing is left of it that was paid and could be given back",
            (false, true) => "nothing is left of it",
            (false, false) => "nothing is left of it beside what later invoices have taken off",
        };
        return Err(TenancyError::Invoice(format!("invoice {} cannot be credited: {what}", after.issued.number)));
    }
    if amount.0 <= 0 || amount > left {
        let beside = if gone.is_zero() { "" } else { " beside what later invoices have taken off" };
        let detail = format!("an amount is more than 0 and at most what is left of the invoice{beside}, {}", left.shown(currency));
        return Err(TenancyError::Invalid(vec![FieldError::new("/amountMinor", "invalid", detail)]));
    }
    let is_all = credited(&after, |_| true) + gone + amount >= worth(&after);
    if is_open && work.tenant.subscription.open.iter().any(|owed| owed.invoice == after.id && (owed.is_trying || owed.payment.is_some())) {
        return Err(TenancyError::Invoice("its payment is under way; wait for the outcome".to_owned()));
    }
    let by_hand = ["manual", Payment::CREDIT, Payment::CREDIT_NOTE, Payment::NEXT_INVOICE];
    let is_collected = |payment: &Payment| !by_hand.contains(&payment.provider.as_str());
    let by_provider = credit.refund && desk.collects && after.standing.payment.as_ref().is_some_and(is_collected);
    let mark = work.draw("credit_note");
    let note = CreditNote {
        id: CreditNoteId::new(cause.now),
        number: format!("{}{mark}", desk.config.billing.credit_note_prefix),
        amount,
        tax: tax_of(&after, amount),
        reason: credit.reason.clone(),
        time: cause.now,
        outcome: match (is_open, credit.refund, by_provider) {
            (true, ..) => CreditOutcome::Reduced,
            (false, false, _) => CreditOutcome::Balance,
            (false, true, true) => CreditOutcome::Refunding,
            (false, true, false) => CreditOutcome::Refunded,
        },
        refund: None,
    };
    let facts = json!({
        "id": after.id, "number": after.issued.number, "creditNote": note.number, "creditNoteId": note.id, "amount": amount.major(currency),
        "amountMinor": amount, "currency": currency, "outcome": note.outcome, "remark": note.reason,
    });
    match note.outcome {
        CreditOutcome::Reduced => reduce(&mut work, &mut after, amount, cause.now),
        CreditOutcome::Balance => work.tenant.subscription.credit = work.tenant.subscription.credit + amount,
        CreditOutcome::Refunding => {
            work.tenant.subscription.refunds.push(Refunding { invoice: after.id, note: note.id, try_at: cause.now });
        }
        CreditOutcome::Refunded => {}
    }
    after.standing.credit_notes.push(note);
    if is_all {
        uncharge(&mut work, &after.issued, later)?;
    }
    work.restate(invoice, &after)?;
    work.note("invoice.credited", None, Some(facts));
    reinstate(&mut work, metered)?;
    work.done()
}

/// What of an invoice can be credited: of an open one what is to be paid, of a paid one what has not been credited, whether money or
/// the balance has paid it; but for what is `gone`, as later invoices have taken it off. Only money can be given back.
fn left(invoice: &Invoice, refund: bool, gone: Money) -> Money {
    let standing = &invoice.standing;
    let credited_or_gone = credited(invoice, |_| true) + gone;
    let left = worth(invoice) - credited_or_gone;
    match standing.status {
        // What it has of an earlier one is to be paid as well.
        InvoiceStatus::Open => (worth(invoice).max(invoice.issued.total) - credited_or_gone).min(standing.due),
        _ if refund => left.min(standing.paid - credited(invoice, CreditOutcome::is_refund)),
        _ => left,
    }
}

/// What was paid for an invoice or is to be, also with the balance.
fn worth(invoice: &Invoice) -> Money {
    invoice.issued.total + invoice.issued.balance_used()
}

fn credited(invoice: &Invoice, counts: impl Fn(CreditOutcome) -> bool) -> Money {
    invoice.standing.credit_notes.iter().filter(|note| counts(note.outcome)).map(|note| note.amount).sum()
}

/// The tax in a credit note: those of an invoice never have more than the invoice, and all of it once all is credited.
fn tax_of(invoice: &Invoice, amount: Money) -> Money {
    let so_far = (credited(invoice, |_| true) + amount).0;
    let tax = invoice.issued.tax().scaled(i128::from(so_far), i128::from(worth(invoice).0.max(1)));
    tax - invoice.standing.credit_notes.iter().map(|note| note.tax).sum()
}

/// Less is to be paid; with nothing left it is paid.
fn reduce(work: &mut Work<'_>, invoice: &mut Invoice, amount: Money, now: Millis) {
    let standing = &mut invoice.standing;
    standing.due = standing.due - amount;
    if standing.due.is_zero() {
        (standing.status, standing.since, standing.paid_at) = (InvoiceStatus::Paid, now, Some(now));
        standing.payment = Some(Payment::without_money(Payment::CREDIT_NOTE));
        forget(&mut work.tenant, invoice.id);
        work.tenant.subscription.awaiting.take_if(|awaiting| awaiting.invoice == invoice.id);
    } else if let Some(owed) = work.tenant.subscription.open.iter_mut().find(|owed| owed.invoice == invoice.id) {
        owed.due = standing.due;
    }
}
