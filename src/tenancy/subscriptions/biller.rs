//! The billing clock: does for each tenant what is due, in order, until nothing is. Each step is one commit on the version that it
//! was computed from; so two of them, or one that was killed, do nothing twice.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::metered::Metered;
use super::turns::Turns;
use super::work::Work;
use super::{Bills, Desk, Duty, next_duty, period, settle};
use crate::billing::payments::{PaymentError, Payments};
use crate::model::{Invoice, InvoiceId, Millis, Slug, Tenant, TenantId, Terms};
use crate::store::{Key, Precondition, StoreError, Table};
use crate::tenancy::issuers::claimed;
use crate::tenancy::states::Move;
use crate::tenancy::usage::UsageReader;
use crate::tenancy::{Cause, Change, TenancyError, Tenants, Versioned};

/// Tenants at the same time: their commits share the disk.
const AT_ONCE: usize = 256;
/// Steps of one tenant that a single turn does: ten years of months, with their reminders.
const MOST_STEPS: usize = 1_000;
/// How often a step is computed anew because the tenant moved under it.
const TRIES: usize = 8;
/// Until a tenant that somebody else attends to is looked at again.
const LATER_MILLIS: i64 = 1_000;
/// After a failure.
const BREATH_MILLIS: i64 = 5_000;

/// Does what is due.
pub struct Biller {
    tenants: Arc<Tenants>,
    usage: Arc<UsageReader>,
    bills: Bills,
    /// Tenants that are attended to. Who runs it, the job or the test clock, has it.
    under_way: tokio::sync::Mutex<JoinSet<Option<usize>>>,
    /// Who does what is due for one tenant: the run, or a call that waits for it.
    turns: Turns,
    /// Whether the payment provider answers.
    pub(in crate::tenancy) heard: Heard,
}

/// How often the payment provider has answered, and how often it has not.
#[derive(Debug, Default)]
pub struct Heard {
    answers: AtomicU64,
    silences: AtomicU64,
}

impl Heard {
    /// It has said this.
    pub(super) fn note<T>(&self, said: &Result<T, PaymentError>) {
        let of = if matches!(said, Err(PaymentError::Unavailable(_))) { &self.silences } else { &self.answers };
        of.fetch_add(1, Ordering::Relaxed);
    }

    /// Answers so far, and silences.
    pub(in crate::tenancy) fn so_far(&self) -> (u64, u64) {
        (self.answers.load(Ordering::Relaxed), self.silences.load(Ordering::Relaxed))
    }
}

impl Biller {
    /// For these tenants, by this usage.
    pub fn new(tenants: Arc<Tenants>, usage: Arc<UsageReader>) -> Self {
        Self {
            bills: Bills::new(Arc::clone(&tenants.store)),
            tenants,
            usage,
            under_way: tokio::sync::Mutex::default(),
            turns: Turns::default(),
            heard: Heard::default(),
        }
    }

    /// By what subscriptions are judged.
    pub fn desk(&self) -> Desk<'_> {
        self.tenants.desk()
    }

    /// Who takes money.
    pub fn payments(&self) -> &dyn Payments {
        &*self.tenants.payments
    }

    /// Invoices and figures.
    pub fn bills(&self) -> &Bills {
        &self.bills
    }

    /// The tenants that are billed.
    pub fn tenants(&self) -> &Arc<Tenants> {
        &self.tenants
    }

    /// What a tenant has used, as far as its next step needs it.
    pub async fn metered(&self, tenant: &Tenant, now: Millis) -> Result<Metered, TenancyError> {
        self.metered_with(tenant, &tenant.terms(), now).await
    }

    /// The same of one that may come to other terms.
    pub async fn metered_with(&self, tenant: &Tenant, terms: &Terms, now: Millis) -> Result<Metered, TenancyError> {
        Ok(Metered::read((tenant, terms), &self.tenants.plans, &self.usage, now).await?)
    }

    /// Does everything that is due by `now`; how many steps that were, and for how many tenants it failed. Those come again later. With
    /// `patience`, those that take longer (the payment provider hangs) go on by themselves, and the next run hears of them: they hold
    /// up nobody.
    pub async fn run(self: &Arc<Self>, now: Millis, patience: Option<Duration>) -> (usize, usize) {
        let mut under_way = self.under_way.lock().await;
        let mut over = pin!(tokio::time::sleep(patience.unwrap_or(Duration::MAX)));
        let (mut steps, mut failed) = (0, 0);
        loop {
            let room = AT_ONCE.saturating_sub(under_way.len());
            let due = self.tenants.directory.accounts().take_due(now, room);
            let known = tokio::select! {
                known = self.read(&due) => known,
                // Each reads for itself.
                () = &mut over => Vec::new(),
            };
            let mut known = known.into_iter();
            for (_, tenant) in due {
                under_way.spawn(Arc::clone(self).attend((tenant, known.next().flatten()), now, patience.is_none()));
            }
            let first = tokio::select! {
                ended = under_way.join_next() => ended,
                () = &mut over => None,
            };
            let Some(first) = first else { return (steps, failed) };
            // Commits are answered many at a time.
            for ended in std::iter::once(first).chain(std::iter::from_fn(|| under_way.try_join_next())) {
                match ended {
                    Ok(Some(count)) => steps += count,
                    _ => failed += 1,
                }
            }
        }
    }

    /// Those who are due, read at once; what cannot be read is told where it is read again, each by itself.
    async fn read(&self, due: &[(Millis, TenantId)]) -> Vec<Option<Versioned<Tenant>>> {
        let ids: Vec<TenantId> = due.iter().map(|(_, tenant)| *tenant).collect();
        if ids.is_empty() { Vec::new() } else { self.tenants.by_ids(&ids).await.unwrap_or_default() }
    }

    /// Does what is due for a tenant, which may be known; none where that fails. Where somebody is at it already, it is looked at
    /// again later, unless this one waits.
    async fn attend(self: Arc<Self>, (tenant, known): (TenantId, Option<Versioned<Tenant>>), now: Millis, waits: bool) -> Option<usize> {
        let accounts = self.tenants.directory.accounts();
        let turn = if waits { Some(self.turns.take(tenant).await) } else { self.turns.take_now(tenant) };
        if turn.is_none() {
            accounts.put_off(tenant, Millis(now.0.saturating_add(LATER_MILLIS)));
            return Some(0);
        }
        // Who had the turn before may have changed it since it was read.
        let shown = self.tenants.directory.by_id(tenant).map(|runtime| runtime.facts().version);
        let known = known.filter(|known| shown == Some(known.version));
        let done = self.do_due((tenant, known), now).await;
        done.inspect_err(|error| {
            tracing::error!(%tenant, %error, "what is due for a tenant cannot be done; it is tried again");
            accounts.put_off(tenant, Millis(now.0.saturating_add(BREATH_MILLIS)));
        })
        .ok()
    }

    /// Does everything that is due for one tenant; how many steps that were.
    pub async fn catch_up(&self, tenant: TenantId, now: Millis) -> Result<usize, TenancyError> {
        let _turn = self.turns.take(tenant).await;
        self.do_due((tenant, None), now).await
    }

    /// Starts from what is `known`; if that is not so any more, the commit says so, and it is read again.
    async fn do_due(&self, (tenant, mut known): (TenantId, Option<Versioned<Tenant>>), now: Millis) -> Result<usize, TenancyError> {
        let mut conflicts = 0;
        let mut steps = 0;
        while steps < MOST_STEPS {
            let current = match known.take() {
                Some(current) => Some(current),
                None => self.tenants.by_id(tenant).await?,
            };
            let Some(current) = current else { return Ok(steps) };
            let next = next_duty(&current.value, &self.tenants.config);
            let Some((at, duty)) = next.filter(|(at, _)| *at <= now) else {
                // What it was taken off the agenda for, somebody else may have done since.
                self.tenants.directory.accounts().put_back(tenant);
                return Ok(steps);
            };
            match self.step(&current, duty, at, now).await {
                Ok(after) => (known, steps) = (after, steps + 1),
                Err(TenancyError::Conflict | TenancyError::Taken(_)) if conflicts < TRIES => conflicts += 1,
                Err(error) => return Err(error),
            }
        }
        Err(TenancyError::Invoice(format!("{MOST_STEPS} steps were due at once; the next turn goes on")))
    }

    /// Does one thing; the tenant after it, where that is known.
    async fn step(
        &self,
        current: &Versioned<Tenant>,
        duty: Duty,
        at: Millis,
        now: Millis,
    ) -> Result<Option<Versioned<Tenant>>, TenancyError> {
        let cause = Cause::of("system", now);
        let change = match duty {
            Duty::Release => self.release(current, &cause).await?,
            Duty::Collect(invoice) => return self.collect(current, invoice, now).await.map(|()| None),
            Duty::Refund => {
                let first = current.value.subscription.refunds.iter().min_by_key(|one| one.try_at).cloned();
                if let Some(refunding) = first {
                    self.refund(current, &refunding, now).await?;
                }
                return Ok(None);
            }
            Duty::Overdue(invoice) => {
                let invoice = self.bills.get(invoice).await?.ok_or_else(|| lost(invoice))?;
                self.work(current, &cause, |work| {
                    let at = work.issued_at(at);
                    settle::overdue(work, &invoice.value, at)
                })?
            }
            Duty::Suspend => self.work(current, &cause, |work| {
                work.due(at);
                work.move_by(Move::StaysUnpaid, Some("an invoice is unpaid".to_owned()))?;
                Ok(())
            })?,
            Duty::EndTrial => {
                let metered = self.metered(&current.value, now).await?;
                self.work(current, &cause, |work| {
                    work.due(at);
                    period::end_trial(work, at, &metered)
                })?
            }
            Duty::Renew => {
                let metered = self.metered(&current.value, now).await?;
                self.work(current, &cause, |work| {
                    work.due(at);
                    period::renew(work, &metered)
                })?
            }
        };
        Ok(Some(self.tenants.apply(change).await?))
    }

    pub(super) fn work(
        &self,
        current: &Versioned<Tenant>,
        cause: &Cause,
        step: impl FnOnce(&mut Work<'_>) -> Result<(), TenancyError>,
    ) -> Result<Change, TenancyError> {
        let mut work = Work::on(current, self.desk(), cause);
        step(&mut work)?;
        work.done()
    }

    /// The slug, the domains and the issuers of a tenant that was deleted long ago become free.
    async fn release(&self, current: &Versioned<Tenant>, cause: &Cause) -> Result<Change, TenancyError> {
        let claims = self.tenants.domains().of(current.value.id).await?;
        let mut work = Work::on(current, self.desk(), cause);
        work.tenant.is_released = true;
        let issuers = std::mem::take(&mut work.tenant.issuers);
        work.note("tenant.released", None, Some(serde_json::json!({"slug": current.value.slug})));
        let mut change = work.done()?;
        change.tx.deletes.extend(claimed(&issuers));
        for domain in &claims {
            change.release_domain(&domain.name);
        }
        // A store of an earlier version has freed it at once, so that it may be somebody else's.
        if let Some(version) = self.owns_slug(current.value.id, &current.value.slug).await? {
            let key = Key::new(Table::Slugs, current.value.slug.as_str());
            change.tx.preconditions.push(Precondition::Unchanged(key.clone(), version));
            change.tx.deletes.push(key);
        }
        Ok(change)
    }

    async fn owns_slug(&self, tenant: TenantId, slug: &Slug) -> Result<Option<crate::store::Version>, TenancyError> {
        let record = self.tenants.store.get(&Key::new(Table::Slugs, slug.as_str())).await?;
        Ok(record.filter(|record| record.value == tenant.to_string().as_bytes()).map(|record| record.version))
    }

    /// An invoice with its tenant.
    pub async fn invoice(&self, id: InvoiceId) -> Result<Option<(Versioned<Tenant>, Versioned<Invoice>)>, TenancyError> {
        let Some(invoice) = self.bills.get(id).await? else { return Ok(None) };
        let tenant = self.tenants.by_id(invoice.value.issued.tenant_id).await?;
        Ok(tenant.map(|tenant| (tenant, invoice)))
    }
}

fn lost(invoice: InvoiceId) -> TenancyError {
    TenancyError::Store(StoreError::Damaged(format!("the store has no invoice {invoice}; restore it from a backup")))
}
