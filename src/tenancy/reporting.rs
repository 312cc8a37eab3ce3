//! Reports over the API: taken once for each idempotency key, whatever is killed, retried or sent twice at the same time.
//!
//! A report is in the journal before anything else knows of it, together with its key, and reaches the store in one commit
//! with it; until then the journal knows the key. Requests with the same key wait for each other.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Mutex;

use super::{Cause, Directory, Shift};
use crate::metering::{Journal, ReportKey, SlotUnavailable, fold_reports, kept_report, short_hash};
use crate::model::{Gauge, Millis, TenantId};
use crate::store::{Store, StoreError, Tx};

/// How many keys may be worked on at once, at least; more where they meet in different places.
const LOCKS: usize = 64;

/// What is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// A gauge moves.
    Gauge(Gauge, Shift),
    /// A user, by the app's id, was active.
    ActiveUser(String),
}

/// A report that was taken, now or before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The gauge's level after it.
    pub level: Option<u64>,
    /// When it was taken.
    pub time: Millis,
}

/// Why a report was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Its key was used for something else.
    #[error("the idempotency key was used for another report of this tenant; use a new one")]
    KeyReused,
    /// The journal has no room; nothing was taken.
    #[error(transparent)]
    NoRoom(#[from] SlotUnavailable),
    /// Nobody has this id.
    #[error("the tenant is not known")]
    NoTenant,
    /// It was taken, but the store has not got it yet. With a key, sending it again is safe; without one it would count twice.
    #[error("the report was taken and will be stored as soon as the store takes changes again")]
    NotStored,
    /// The store failed before anything was taken.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes reports.
pub struct Reporter {
    store: Arc<dyn Store>,
    journal: Arc<Journal>,
    directory: Arc<Directory>,
    locks: [Mutex<()>; LOCKS],
}

impl Reporter {
    /// Takes reports for tenants of `directory`.
    pub fn new(store: Arc<dyn Store>, journal: Arc<Journal>, directory: Arc<Directory>) -> Self {
        Self { store, journal, directory, locks: std::array::from_fn(|_| Mutex::new(())) }
    }

    /// Takes a report, durably when it answers; it happens as a whole even where the caller goes away meanwhile.
    pub async fn report(
        self: &Arc<Self>,
        tenant: TenantId,
        claim: Claim,
        key: Option<String>,
        cause: &Cause,
    ) -> Result<Accepted, ReportError> {
        let (this, cause) = (Arc::clone(self), cause.clone());
        let task = tokio::spawn(async move { this.take(tenant, &claim, key.as_deref(), &cause).await });
        task.await.map_err(|error| StoreError::Unavailable(format!("the report was cut off: {error}")))?
    }

    async fn take(&self, tenant: TenantId, claim: &Claim, key: Option<&str>, cause: &Cause) -> Result<Accepted, ReportError> {
        let now = cause.now;
        let Some((name, key)) = key.map(|name| (name, key_of(tenant, name, claim))) else {
            self.log(tenant, claim, None, cause).await?;
            let level = self.write(tenant, claim, None, now)?;
            return self.store(level, now).await;
        };
        // The hash is evenly spread, so that any octet of it chooses a lock.
        let [first, ..] = key.key;
        let _turn = match self.locks.get(usize::from(first) % LOCKS) {
            Some(lock) => Some(lock.lock().await),
            None => None,
        };
        if self.journal.waiting_report(&key.key).is_some() {
            // It was taken while the store failed.
            fold_reports(&self.journal, &*self.store).await?;
        }
        if let Some(kept) = kept_report(&*self.store, tenant, &key).await? {
            let same = kept.body == key.body_text();
            return if same { Ok(Accepted { level: kept.level, time: kept.time }) } else { Err(ReportError::KeyReused) };
        }
        self.log(tenant, claim, Some(name), cause).await?;
        let level = self.write(tenant, claim, Some(key), now)?;
        self.store(level, now).await
    }

    /// The row of the audit log. The journal, where a report is durable first, has no place for it; so the row comes before the report,
    /// and no report is without one.
    async fn log(&self, tenant: TenantId, claim: &Claim, key: Option<&str>, cause: &Cause) -> Result<(), ReportError> {
        if self.directory.by_id(tenant).is_none() {
            return Err(ReportError::NoTenant);
        }
        let mut after = match claim {
            Claim::Gauge(gauge, Shift::By(delta)) => json!({"meter": gauge.name(), "delta": delta}),
            Claim::Gauge(gauge, Shift::To(level)) => json!({"meter": gauge.name(), "value": level}),
            // Who that is, is the tenant's affair.
            Claim::ActiveUser(_) => json!({"meter": "activeUser"}),
        };
        if let Some(key) = key {
            after["idempotencyKey"] = json!(key);
        }
        let audit = vec![cause.audit("usage.reported", tenant, None, Some(after))];
        self.store.commit(Tx { audit, ..Tx::default() }).await?;
        Ok(())
    }

    async fn store(&self, level: Option<u64>, time: Millis) -> Result<Accepted, ReportError> {
        match fold_reports(&self.journal, &*self.store).await {
            Ok(()) => Ok(Accepted { level, time }),
            Err(error) => {
                tracing::debug!(%error, "a report waits in the journal");
                Err(ReportError::NotStored)
            }
        }
    }

    fn write(&self, tenant: TenantId, claim: &Claim, key: Option<ReportKey>, now: Millis) -> Result<Option<u64>, ReportError> {
        let tenant = self.directory.by_id(tenant).ok_or(ReportError::NoTenant)?;
        let (gauges, at) = (tenant.gauges(now), tenant.at(now));
        Ok(match claim {
            Claim::Gauge(gauge, shift) => Some(gauges.report(&self.journal, (*gauge, *shift), at, key)?),
            Claim::ActiveUser(user) => {
                gauges.report_user(&self.journal, short_hash(&[user.trim().as_bytes()]), at, key)?;
                None
            }
        })
    }
}

fn key_of(tenant: TenantId, key: &str, claim: &Claim) -> ReportKey {
    let (kind, value) = match claim {
        Claim::Gauge(gauge, Shift::By(delta)) => (gauge.name(), format!("by {delta}")),
        Claim::Gauge(gauge, Shift::To(level)) => (gauge.name(), format!("to {level}")),
        Claim::ActiveUser(user) => ("activeUser", user.clone()),
    };
    ReportKey { key: short_hash(&[&tenant.to_bytes(), key.as_bytes()]), body: short_hash(&[kind.as_bytes(), value.as_bytes()]) }
}
