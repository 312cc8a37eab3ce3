//! Collecting: the provider is asked for the money of an invoice. The attempt is written down first, under the number that is its
//! key, so that one that dies half-way is repeated and not made twice; what the provider says is then one commit with all that
//! follows from it.

use serde_json::json;

use super::metered::Metered;
use super::work::Work;
use super::{Biller, settle};
use crate::billing::payments::{Charge, Charged, PaymentError, Refund};
use crate::model::invoice::{Attempt, CreditOutcome, Payment};
use crate::model::subscription::{Method, Payer, Refunding};
use crate::model::{Invoice, InvoiceId, InvoiceStatus, Millis, Money, Owed, Tenant, TenantId};
use crate::store::{Key, Precondition, Table, Tx};
use crate::tenancy::{Cause, TenancyError, Versioned};

/// Until a provider that does not answer is asked again.
const AGAIN_MILLIS: i64 = 60_000;
/// Until a payment that takes its time is looked at again; its messages mostly come first.
const LOOK_MILLIS: i64 = 3_600_000;
/// How often an outcome is written anew because the tenant moved under it.
const TRIES: usize = 8;

/// What a provider said of the payment of an invoice, and how we know.
pub(super) struct Outcome {
    pub(super) invoice: InvoiceId,
    pub(super) said: Result<Charged, PaymentError>,
    /// A message led to it, and no question of ours.
    pub(super) is_told: bool,
    /// Written in the same commit: so it is acted on once.
    pub(super) tx: Tx,
}

impl Biller {
    /// Asks the provider for the money of an invoice.
    pub(super) async fn collect(&self, current: &Versioned<Tenant>, invoice: InvoiceId, now: Millis) -> Result<(), TenancyError> {
        let Some(owed) = owed(&current.value, invoice).cloned() else { return Ok(()) };
        let payer = current.value.subscription.payer.clone().unwrap_or_default();
        let method = owed.method.clone().filter(|_| owed.is_trying).or_else(|| payer.method.clone()).filter(|_| self.desk().collects);
        let Some(method) = method else { return self.stop(current, invoice, now).await };
        let Some((_, found)) = self.invoice(invoice).await? else { return self.stop(current, invoice, now).await };
        let least = Money(self.desk().chargeable.least);
        if owed.due < least && !owed.is_trying && owed.payment.is_none() {
            return self.leave(current, &found, now).await;
        }
        let charge = |attempt| charge(current.value.id, &found.value, &owed, (&payer, &method), attempt);
        let said = match &owed.payment {
            Some(payment) => self.payments().payment(payment, amount_of(&found.value)).await,
            None if owed.is_trying => self.repeat(&charge(owed.attempts)).await,
            None => {
                let attempt = self.begin(current, &owed, &method, now).await?;
                self.payments().charge(&charge(attempt)).await
            }
        };
        self.heard.note(&said);
        self.settle(current.value.id, &Outcome { invoice, said, is_told: false, tx: Tx::default() }, now).await
    }

    /// An attempt of which nobody knows what became of it. It is looked for first: a provider does not know a key for ever.
    async fn repeat(&self, charge: &Charge) -> Result<Charged, PaymentError> {
        // Whatever is wrong with the question, the charge may have been made.
        let found = self.payments().find(charge).await.map_err(|error| PaymentError::Unavailable(error.to_string()))?;
        match found {
            Some(charged) => Ok(charged),
            None => self.payments().charge(charge).await,
        }
    }

    /// Writes down that an attempt begins; its number.
    async fn begin(&self, current: &Versioned<Tenant>, owed: &Owed, method: &Method, now: Millis) -> Result<u32, TenancyError> {
        let (attempt, cause) = (owed.attempts + 1, system(now));
        let change = self.work(current, &cause, |work| {
            if let Some(owed) = owed_mut(&mut work.tenant, owed.invoice) {
                (owed.attempts, owed.is_trying, owed.method) = (attempt, true, Some(method.clone()));
                // If nobody comes back from it, it is repeated.
                owed.try_at = Some(now);
            }
            Ok(())
        })?;
        self.tenants().apply(change).await?;
        Ok(attempt)
    }

    /// It is less than can be charged.
    async fn leave(&self, current: &Versioned<Tenant>, invoice: &Versioned<Invoice>, now: Millis) -> Result<(), TenancyError> {
        let metered = self.metered(&current.value, now).await?;
        let change = self.work(current, &system(now), |work| settle::left_for_next(work, invoice, &metered))?;
        self.tenants().apply(change).await?;
        Ok(())
    }

    /// Nothing can be collected: there is no method any more.
    async fn stop(&self, current: &Versioned<Tenant>, invoice: InvoiceId, now: Millis) -> Result<(), TenancyError> {
        let cause = system(now);
        let change = self.work(current, &cause, |work| {
            if let Some(owed) = owed_mut(&mut work.tenant, invoice) {
                (owed.try_at, owed.is_trying) = (None, false);
            }
            Ok(())
        })?;
        self.tenants().apply(change).await?;
        Ok(())
    }

    /// Writes down what became of a payment, with all that follows.
    pub(super) async fn settle(&self, tenant: TenantId, outcome: &Outcome, now: Millis) -> Result<(), TenancyError> {
        for _ in 0..TRIES {
            let Some(current) = self.tenants().by_id(tenant).await? else { return Ok(()) };
            let Some((_, invoice)) = self.invoice(outcome.invoice).await? else { return Ok(()) };
            let metered = self.metered(&current.value, now).await?;
            let cause = system(now);
            let change = self.work(&current, &cause, |work| {
                let tx = work.tx();
                tx.preconditions.extend(outcome.tx.preconditions.iter().cloned());
                tx.puts.extend(outcome.tx.puts.iter().cloned());
                follow(work, &invoice, outcome, self.payments().name(), &metered)
            })?;
            match self.tenants().apply(change).await {
                Ok(_) => return Ok(()),
                Err(TenancyError::Conflict) if !self.is_done(&outcome.tx).await? => {}
                Err(TenancyError::Conflict) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Err(TenancyError::Conflict)
    }

    /// True where somebody else has acted on the same message.
    async fn is_done(&self, tx: &Tx) -> Result<bool, TenancyError> {
        for precondition in &tx.preconditions {
            if let Precondition::Absent(key) = precondition
                && self.tenants().store.get(key).await?.is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Asks the provider to give back what a credit note says.
    pub(super) async fn refund(&self, current: &Versioned<Tenant>, refunding: &Refunding, now: Millis) -> Result<(), TenancyError> {
        let Some((_, invoice)) = self.invoice(refunding.invoice).await? else { return Ok(()) };
        let note = invoice.value.standing.credit_notes.iter().find(|note| note.id == refunding.note);
        let payment = invoice.value.standing.payment.as_ref().and_then(|payment| payment.reference.clone());
        let said = match (note, payment) {
            (Some(note), Some(payment)) => {
                let currency = invoice.value.issued.currency.clone();
                let refund = Refund { key: format!("gatehouse-refund-{}", note.id), payment, amount: note.amount, currency };
                let said = self.payments().refund(&refund).await;
                self.heard.note(&said);
                said
            }
            _ => Err(PaymentError::Refused("the invoice has no payment to give back".to_owned())),
        };
        let cause = system(now);
        let change = self.work(current, &cause, |work| {
            let refunds = &mut work.tenant.subscription.refunds;
            match &said {
                Ok(refunded) => {
                    refunds.retain(|one| one.note != refunding.note);
                    let mut after = invoice.value.clone();
                    for note in after.standing.credit_notes.iter_mut().filter(|note| note.id == refunding.note) {
                        (note.outcome, note.refund) = (CreditOutcome::Refunded, Some(refunded.id.clone()));
                    }
                    work.restate(&invoice, &after)?;
                    work.note(
                        "invoice.refunded",
                        None,
                        Some(json!({"id": after.id, "creditNoteId": refunding.note, "refund": refunded.id})),
                    );
                }
                Err(error) => {
                    tracing::error!(invoice = %refunding.invoice, %error, "a refund is not done; it is tried again");
                    let wait = if matches!(error, PaymentError::Unavailable(_)) { AGAIN_MILLIS } else { LOOK_MILLIS };
                    let again = refunds.iter_mut().filter(|one| one.note == refunding.note);
                    again.for_each(|one| one.try_at = Millis(now.0 + wait));
                }
            }
            Ok(())
        })?;
        self.tenants().apply(change).await?;
        Ok(())
    }
}

/// What follows from what the provider said.
fn follow(
    work: &mut Work<'_>,
    invoice: &Versioned<Invoice>,
    outcome: &Outcome,
    provider: &str,
    metered: &Metered,
) -> Result<(), TenancyError> {
    let (id, now, said) = (invoice.value.id, work.cause.now, &outcome.said);
    remember(work, id, said);
    let number = owed(&work.tenant, id).map_or(0, |owed| owed.attempts);
    if invoice.value.standing.status != InvoiceStatus::Open {
        if let Ok(Charged::Succeeded { payment }) = said
            && invoice.value.standing.payment.as_ref().and_then(|payment| payment.reference.as_ref()) != Some(payment)
        {
            tracing::error!(invoice = %id, payment, "money came in for an invoice that is not open; give it back by hand");
            work.note("invoice.unexpected_payment", None, Some(json!({"id": id, "payment": payment})));
        }
        return Ok(());
    }
    // A message may be about an earlier attempt; and of one whose payment is not known yet, whoever asks for it hears the same.
    let awaited = owed(&work.tenant, id).and_then(|owed| owed.payment.clone());
    let waits = work.tenant.subscription.awaiting.as_ref().is_some_and(|awaiting| awaiting.invoice == id);
    let is_awaited = matches!(said, Ok(Charged::Declined { payment, .. }) if awaited.is_some() && *payment == awaited);
    if outcome.is_told && !is_awaited && !matches!(said, Ok(Charged::Succeeded { .. })) {
        return Ok(());
    }
    let attempt = |payment: Option<String>, code: Option<String>, message: Option<String>, is_hard| Attempt {
        number,
        time: now,
        payment,
        code,
        message,
        is_hard,
    };
    match said {
        Ok(Charged::Succeeded { payment }) => {
            let by = Payment { provider: provider.to_owned(), reference: Some(payment.clone()) };
            settle::paid(work, invoice, by, Some(attempt(Some(payment.clone()), None, None, false)), metered)
        }
        Ok(Charged::Declined { payment, code, message, is_hard }) => {
            // What a message tells of an attempt that was written down already is not news.
            let same = |attempt: &Attempt| attempt.number == number || (payment.is_some() && attempt.payment == *payment);
            let known = invoice.value.standing.attempts.iter().any(|attempt| attempt.code.is_some() && same(attempt));
            if known {
                return Ok(());
            }
            settle::declined(work, invoice, attempt(payment.clone(), Some(code.clone()), Some(message.clone()), *is_hard), metered)
        }
        Ok(Charged::Processing { payment }) => {
            if let Some(owed) = owed_mut(&mut work.tenant, id) {
                (owed.payment, owed.try_at) = (Some(payment.clone()), Some(Millis(now.0 + LOOK_MILLIS)));
            }
            Ok(())
        }
        Err(error @ (PaymentError::Refused(_) | PaymentError::NotSupported(_))) if waits && awaited.is_none() => {
            // Nobody can pay for the change, so it is not made.
            settle::declined(work, invoice, attempt(None, Some("refused".to_owned()), Some(error.to_string()), true), metered)
        }
        Err(error) => {
            tracing::warn!(invoice = %id, %error, "a payment is not decided; it is asked for again");
            let wait = if matches!(error, PaymentError::Unavailable(_)) { AGAIN_MILLIS } else { LOOK_MILLIS };
            if let Some(owed) = owed_mut(&mut work.tenant, id) {
                owed.try_at = Some(Millis(now.0 + wait));
                // What was refused has not begun: the next attempt is another one, maybe with another card.
                owed.is_trying &= matches!(error, PaymentError::Unavailable(_)) || owed.payment.is_some();
            }
            Ok(())
        }
    }
}

/// Finds the invoice again when the provider names the payment.
fn remember(work: &mut Work<'_>, invoice: InvoiceId, said: &Result<Charged, PaymentError>) {
    let payment = match said {
        Ok(Charged::Succeeded { payment } | Charged::Processing { payment } | Charged::Declined { payment: Some(payment), .. }) => payment,
        Ok(Charged::Declined { payment: None, .. }) | Err(_) => return,
    };
    work.tx().puts.push((Key::new(Table::ProviderObjects, payment.clone()), invoice.to_string().into_bytes()));
}

fn charge(tenant: TenantId, invoice: &Invoice, owed: &Owed, (payer, method): (&Payer, &Method), attempt: u32) -> Charge {
    Charge {
        key: format!("gatehouse-{}-{attempt}", invoice.id),
        invoice: invoice.id.to_string(),
        number: invoice.issued.number.clone(),
        tenant: tenant.to_string(),
        customer: payer.customer.clone(),
        method: method.id.clone(),
        kind: method.kind.clone(),
        amount: owed.due,
        currency: invoice.issued.currency.clone(),
    }
}

/// What a payment of an invoice is of; unknown where nothing is owed any more.
pub(super) fn amount_of(invoice: &Invoice) -> Option<(Money, &str)> {
    let is_open = invoice.standing.status == InvoiceStatus::Open;
    is_open.then_some((invoice.standing.due, invoice.issued.currency.as_str()))
}

fn owed(tenant: &Tenant, invoice: InvoiceId) -> Option<&Owed> {
    tenant.subscription.open.iter().find(|owed| owed.invoice == invoice)
}

fn owed_mut(tenant: &mut Tenant, invoice: InvoiceId) -> Option<&mut Owed> {
    tenant.subscription.open.iter_mut().find(|owed| owed.invoice == invoice)
}

pub(super) fn system(now: Millis) -> Cause {
    Cause::of("system", now)
}
