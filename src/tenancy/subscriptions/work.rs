//! A step of billing being put together: the tenant as it will be, and the invoices, audit rows and figures that go with it.

use serde_json::{Value, json};

use super::Desk;
use super::records::{invoice_key, movement_key, tenant_invoice_key};
use crate::billing::invoicing::{Reckoned, Taxes, reckon};
use crate::billing::items::price_of_year;
use crate::billing::revenue::{Seen, figures};
use crate::billing::tax;
use crate::model::invoice::{InvoiceReason, Payment, TaxRule};
use crate::model::subscription::Revenue;
use crate::model::{Invoice, InvoiceId, InvoiceStatus, Issued, Line, Millis, Money, Owed, Party, Span, Standing, Status, Tenant};
use crate::store::{Draw, Precondition, Tx};
use crate::tenancy::change::encode;
use crate::tenancy::states::{Move, target};
use crate::tenancy::{Cause, Change, TenancyError, Versioned};

/// Digits of the numbers of invoices and credit notes, at least.
pub(super) const DIGITS: usize = 6;
/// The sequence of the numbers of invoices.
pub const INVOICES: &str = "invoice";
/// An invoice that is issued later than this after its time counts from when it was really issued.
const LATE_DAYS: i64 = 1;

/// A step being put together.
pub struct Work<'a> {
    /// The tenant as it will be.
    pub tenant: Tenant,
    /// By what it is judged.
    pub desk: Desk<'a>,
    /// Who wants it, and what time it is.
    pub cause: &'a Cause,
    /// When it counts: what is done late, but not too late, counts when it was due.
    as_of: Millis,
    before: &'a Versioned<Tenant>,
    issued: Vec<Invoice>,
    tx: Tx,
}

impl<'a> Work<'a> {
    /// Nothing has changed yet.
    pub fn on(before: &'a Versioned<Tenant>, desk: Desk<'a>, cause: &'a Cause) -> Self {
        Self { tenant: before.value.clone(), desk, cause, as_of: cause.now, before, issued: Vec::new(), tx: Tx::default() }
    }

    /// Says what is done.
    pub fn note(&mut self, action: &str, before: Option<Value>, after: Option<Value>) {
        self.tx.audit.push(self.cause.audit(action, self.tenant.id, before, after));
    }

    /// Moves the tenant to where that leads and says so; false where it stays as it is.
    pub fn move_by(&mut self, wanted: Move, reason: Option<String>) -> Result<bool, TenancyError> {
        let Some(status) = target(&self.tenant, wanted, self.cause.now)? else { return Ok(false) };
        let before = json!({"status": self.tenant.status, "statusReason": self.tenant.status_reason});
        let is_back = wanted == Move::Restore && !status.is_served() && self.tenant.previous_status == Some(status);
        self.tenant.previous_status = (!status.is_served()).then_some(self.tenant.status);
        self.tenant.subscription.is_suspended_unpaid = wanted.is_for_debts(self.tenant.subscription.is_suspended_unpaid);
        self.tenant.status = status;
        let before_that = std::mem::replace(&mut self.tenant.status_reason, reason);
        let kept = std::mem::replace(&mut self.tenant.previous_reason, before_that.filter(|_| status == Status::Deleted));
        if is_back {
            // It is what it was, and for the same reason.
            self.tenant.status_reason = self.tenant.status_reason.take().or(kept);
        }
        let after = json!({"status": self.tenant.status, "statusReason": self.tenant.status_reason});
        self.note(wanted.action(), Some(before), Some(after));
        Ok(true)
    }

    /// It was due at `at`.
    pub(super) fn due(&mut self, at: Millis) {
        self.as_of = self.issued_at(at);
    }

    /// When something that was due at `at` counts as issued.
    pub fn issued_at(&self, at: Millis) -> Millis {
        if self.cause.now > at.plus_days(LATE_DAYS) { self.cause.now } else { at }
    }

    /// Issues an invoice of these lines, where they come to anything. What is due to the tenant is used first.
    pub fn issue(
        &mut self,
        lines: Vec<Line>,
        reason: InvoiceReason,
        period: Option<Span>,
        at: Millis,
    ) -> Result<Option<InvoiceId>, TenancyError> {
        let rule = self.tax_rule();
        let charged = self.tenant.subscription.period.as_mut().filter(|_| reason == InvoiceReason::Period);
        charged.into_iter().for_each(|running| running.taxed = Some(rule.clone()));
        let sum: Money = lines.iter().map(|line| line.amount).sum();
        if sum.is_zero() {
            return Ok(None);
        }
        let at = self.issued_at(at);
        let billing = &self.desk.config.billing;
        let customer = self.customer();
        let Reckoned { lines, total, credit, note } =
            reckon(lines, (self.tenant.subscription.credit, self.desk.chargeable.unit), &self.taxes(&customer, reason));
        let (draw, mark) = Draw::written(INVOICES, DIGITS);
        let due_at = at.plus_days(i64::from(billing.due_days));
        let invoice = Invoice {
            id: InvoiceId::new(at),
            issued: Issued {
                number: format!("{}{mark}", billing.invoice_prefix),
                tenant_id: self.tenant.id,
                currency: billing.currency.clone(),
                reason,
                seller: billing.seller.clone(),
                customer,
                period,
                lines,
                total,
                issued_at: at,
                due_at,
                note,
            },
            standing: standing(total, at),
        };
        self.tenant.subscription.credit = credit;
        if !total.is_zero() {
            let try_at = self.collects().then_some(at);
            let owed = Owed {
                invoice: invoice.id,
                due: total,
                due_at,
                try_at,
                attempts: 0,
                is_trying: false,
                failed_at: None,
                payment: None,
                method: None,
            };
            self.tenant.subscription.open.push(owed);
        }
        self.tx.numbers.push(draw);
        self.put_new(&invoice)?;
        let facts = invoice_facts(&invoice);
        self.note("invoice.issued", None, Some(facts.clone()));
        if total.is_zero() {
            self.note("invoice.paid", None, Some(facts));
        }
        let id = invoice.id;
        self.issued.push(invoice);
        Ok(Some(id))
    }

    /// By what the tenant is taxed now.
    pub(super) fn tax_rule(&self) -> TaxRule {
        let billing = &self.desk.config.billing;
        tax::rule(&self.tenant.billing, &billing.seller, &billing.tax)
    }

    /// By what an invoice to this customer is taxed.
    pub(super) fn taxes<'b>(&'b self, customer: &'b Party, reason: InvoiceReason) -> Taxes<'b> {
        let running = self.tenant.subscription.period.as_ref().filter(|_| reason == InvoiceReason::Change);
        Taxes { now: self.tax_rule(), before: running.and_then(|running| running.taxed.as_ref()), vat_id: customer.vat_id.as_deref() }
    }

    /// What was issued, as it would be.
    pub(super) fn into_issued(self) -> Vec<Invoice> {
        self.issued
    }

    /// Whether its invoices are collected by the provider.
    pub fn collects(&self) -> bool {
        self.desk.collects && self.tenant.subscription.payer.as_ref().is_some_and(|payer| payer.method.is_some())
    }

    /// Writes an invoice that stands differently now.
    pub fn restate(&mut self, before: &Versioned<Invoice>, invoice: &Invoice) -> Result<(), TenancyError> {
        let key = invoice_key(invoice.id);
        self.tx.preconditions.push(Precondition::Unchanged(key.clone(), before.version));
        self.tx.puts.push((key, encode(invoice)?));
        Ok(())
    }

    /// Draws a number; the mark stands for it.
    pub fn draw(&mut self, sequence: &str) -> String {
        let (draw, mark) = Draw::written(sequence, DIGITS);
        self.tx.numbers.push(draw);
        mark
    }

    /// More that belongs into the same commit.
    pub fn tx(&mut self) -> &mut Tx {
        &mut self.tx
    }

    /// Whom invoices are issued to.
    pub fn customer(&self) -> Party {
        let name = self.tenant.billing.name.clone().or_else(|| Some(self.tenant.name.clone()));
        Party { name, ..self.tenant.billing.clone() }
    }

    /// The whole step as a change.
    pub fn done(mut self) -> Result<Change, TenancyError> {
        self.figure()?;
        if self.tenant == self.before.value && self.tx.audit.is_empty() && self.tx.puts.is_empty() {
            return Ok(Change::nothing(self.before));
        }
        self.tenant.updated_at = self.cause.now;
        let mut change = Change::update(self.before, self.tenant)?;
        let Tx { preconditions, puts, deletes, numbers, audit } = self.tx;
        change.tx.preconditions.extend(preconditions);
        change.tx.puts.extend(puts);
        change.tx.deletes.extend(deletes);
        change.tx.numbers.extend(numbers);
        change.tx.audit.extend(audit);
        Ok(change)
    }

    fn put_new(&mut self, invoice: &Invoice) -> Result<(), TenancyError> {
        let (key, index) = (invoice_key(invoice.id), tenant_invoice_key(invoice.issued.tenant_id, invoice.id));
        self.tx.preconditions.push(Precondition::Absent(key.clone()));
        self.tx.puts.push((key, encode(invoice)?));
        self.tx.puts.push((index, Vec::new()));
        Ok(())
    }

    /// Keeps the figures of the month: what the tenant pays in a year, and what became of its trial.
    fn figure(&mut self) -> Result<(), TenancyError> {
        let yearly = self.yearly();
        let month = self.as_of.day().month();
        let known = self.tenant.subscription.revenue.as_ref();
        let trial = self.outcome(known, &month.to_string(), yearly);
        let Some(revenue) = figures(known, Seen { month, yearly, trial }) else { return Ok(()) };
        self.tx.puts.push((movement_key(&revenue.month, self.tenant.id), encode(&revenue)?));
        self.tenant.subscription.revenue = Some(revenue);
        Ok(())
    }

    /// Whether its trial ends here, and with what; or runs again, where it had ended. To be suspended while it lasts is no end of it.
    fn outcome(&self, known: Option<&Revenue>, month: &str, yearly: Money) -> Option<Option<bool>> {
        let (before, after) = (&self.before.value, &self.tenant);
        if before.trial_ends_at.is_none_or(|end| end <= before.created_at) {
            return None;
        }
        let is_held = |tenant: &Tenant| tenant.status == Status::Suspended && tenant.previous_status == Some(Status::Trial);
        // The end of one that was suspended is told once, unless its month goes on.
        let is_open = known.is_none_or(|known| known.trial.is_none() || known.month == month);
        let was_on = before.status == Status::Trial || (is_held(before) && is_open);
        let is_on = after.status == Status::Trial || (is_held(after) && after.trial_ends_at.is_some_and(|end| end > self.cause.now));
        match (was_on, is_on) {
            (true, false) => Some(Some(!yearly.is_zero())),
            (false, true) => Some(None),
            _ => None,
        }
    }

    /// What counts as its revenue in a year: nothing in a trial, and nothing while it is not served.
    fn yearly(&self) -> Money {
        let terms = self.tenant.terms();
        let counts = matches!(self.tenant.status, Status::Active | Status::PastDue) && self.tenant.subscription.period.is_some();
        let plan = self.desk.plans.of(&terms).filter(|_| counts);
        plan.map_or(Money(0), |plan| price_of_year(&terms, &plan))
    }
}

/// What audit rows and events tell of an invoice.
pub(super) fn invoice_facts(invoice: &Invoice) -> Value {
    let Issued { number, currency, total, due_at, reason, period, .. } = &invoice.issued;
    json!({
        "id": invoice.id, "number": number, "amount": total.major(currency), "amountMinor": total, "currency": currency,
        "status": invoice.standing.status, "reason": reason, "period": period, "dueDate": due_at,
    })
}

/// How a new invoice stands: one with nothing to pay is paid.
fn standing(total: Money, at: Millis) -> Standing {
    let is_paid = total.is_zero();
    Standing {
        status: if is_paid { InvoiceStatus::Paid } else { InvoiceStatus::Open },
        since: at,
        due: total,
        paid: Money(0),
        from_credit: Money(0),
        paid_at: is_paid.then_some(at),
        payment: is_paid.then(|| Payment::without_money(Payment::CREDIT)),
        attempts: Vec::new(),
        credit_notes: Vec::new(),
        remark: None,
    }
}
