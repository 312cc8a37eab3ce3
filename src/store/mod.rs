//! The store: what survives, behind one trait that fits an embedded tree and a SQL database alike.
//!
//! A [`Tx`] is data, not code: preconditions, puts, deletes, numbers and audit rows that happen together or not at all.
//! When [`Store::commit`] has answered, the commit is on disk.

mod audit;
mod codec;
#[cfg(test)]
mod conformance;
pub mod embedded;
#[cfg(test)]
pub mod memory;
mod migrate;
mod number;
mod place;
mod room;
mod rules;
mod seal;
mod verify;

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::model::{Day, Millis, TenantId, Totals};

pub use audit::{AuditRow, Checked, Link, LinkError, LoggedRow, check_log, rows_of};
pub use embedded::Embedded;
pub use number::Draw;

/// The schema version of the data that this version of the store writes and reads.
pub const SCHEMA: u32 = 1;

/// How many changes are kept for those who follow.
pub const KEPT_CHANGES: usize = 10_000;

/// The kinds of records; each is a key space of its own, ordered by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Table {
    /// By tenant id.
    Tenants,
    /// Slug → tenant id; a put with an `Absent` precondition claims it.
    Slugs,
    /// Custom domain → the claim on it; claimed like a slug.
    Domains,
    /// `<tenant id>/<key id>`.
    Keys,
    /// Answers kept for `Idempotency-Key`.
    Idempotency,
    /// `<tenant id>/<hash>`: idempotency keys of usage that was reported.
    Reported,
    /// Written by [`Tx::audit`] only: audit rows by id.
    Audit,
    /// `<tenant id>/<audit id>`: names the audit rows of one tenant; [`rows_of`] reads them.
    AuditByTenant,
    /// Small settings of the deployment.
    Settings,
    /// `<incarnation>/<sequence>/<page>`: runs of the journal's slots, as they were at the last fold. Nobody follows them, so
    /// that they are not in the change log.
    UsagePages,
    /// By tenant id: what the app reported to have, as it stands.
    Gauges,
    /// `<tenant id>/<month>`: the same at the end of a month.
    GaugeMonths,
    /// `<month>/<tenant id>/<number>`: hashes of the users that were active in a month.
    ActiveUsers,
    /// `<tenant id>/…`: thresholds of limits that were crossed.
    Alerts,
    /// `<tenant id>/<custom domain>`: the claims of one tenant.
    DomainsByTenant,
    /// By name: certificates that were issued, with their keys sealed.
    Certificates,
    /// `<plan>/<version>`: versions of plans; they never change.
    Plans,
    /// By id: invoices.
    Invoices,
    /// `<tenant id>/<invoice id>`: the invoices of one tenant.
    InvoicesByTenant,
    /// `<month>/<tenant id>`: how the revenue of a tenant has changed in a month.
    Movements,
    /// By event id: messages of the payment provider that were acted on.
    ProviderEvents,
    /// By the provider's name of a payment or a customer: the invoice or the tenant that it belongs to.
    ProviderObjects,
    /// By name: add-ons that the API has added.
    AddOns,
    /// `<tenant id>/<key id>`: when an API key was last used.
    KeyUses,
    /// By the SHA-256 of issuer and audience: the tenant whose users its tokens are; claimed like a slug.
    TenantIssuers,
    /// By the name of the flag: roll-outs of feature flags.
    Rollouts,
    /// By event id: events to the operator's systems, and how their delivery went.
    Events,
    /// By event id: those of them that are not done with.
    EventQueue,
    /// Written by [`Tx::audit`] only: the end of the audit log.
    AuditHead,
    /// By id: operators of the admin API. They are read at the start, and nobody follows them.
    Operators,
}

impl Table {
    /// True where changes are told to those who follow: what the data plane is made of. Logs, invoices and figures are read when they
    /// are asked for, and nobody keeps a copy of them.
    pub(crate) const fn is_followed(self) -> bool {
        !matches!(
            self,
            Self::UsagePages
                | Self::Audit
                | Self::AuditByTenant
                | Self::AuditHead
                | Self::Operators
                | Self::Idempotency
                | Self::Invoices
                | Self::InvoicesByTenant
                | Self::Movements
                | Self::ProviderEvents
                | Self::ProviderObjects
                | Self::KeyUses
                | Self::Events
                | Self::EventQueue
        )
    }

    /// True where a commit that writes nothing else needs no version of its own: one writer, and nobody asks for versions.
    const fn is_unversioned(self) -> bool {
        matches!(self, Self::UsagePages)
    }
}

/// Names one record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Its kind.
    pub table: Table,
    /// Its name within the kind: 1 to 512 bytes of printable ASCII.
    pub id: String,
}

impl Key {
    /// Names a record.
    pub fn new(table: Table, id: impl Into<String>) -> Self {
        Self { table, id: id.into() }
    }
}

/// The number of the commit that last wrote a record; grows with every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(pub u64);

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    pub key: Key,
    /// The commit that wrote it.
    pub version: Version,
    /// Its content, at most 1 MiB.
    pub value: Vec<u8>,
}

/// What must hold for a commit to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// No such record.
    Absent(Key),
    /// The record was last written by this commit.
    Unchanged(Key, Version),
}

/// What happens together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Tx {
    /// All must hold.
    pub preconditions: Vec<Precondition>,
    /// Records to write, after the deletes.
    pub puts: Vec<(Key, Vec<u8>)>,
    /// Records to remove; absent ones are fine.
    pub deletes: Vec<Key>,
    /// Numbers to draw, without gaps: the answer is in [`Committed::numbers`], same order.
    pub numbers: Vec<Draw>,
    /// Audit rows, in their order; the store chains them to the log.
    pub audit: Vec<AuditRow>,
}

impl Tx {
    /// True where it has no version of its own.
    pub(crate) fn is_unversioned(&self) -> bool {
        let mut keys = self.puts.iter().map(|(key, _)| key).chain(&self.deletes);
        let any = !self.puts.is_empty() || !self.deletes.is_empty();
        any && self.numbers.is_empty() && self.audit.is_empty() && keys.all(|key| key.table.is_unversioned())
    }
}

/// A commit that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The version its records now have.
    pub version: Version,
    /// The numbers drawn; each sequence begins at 1.
    pub numbers: Vec<u64>,
}

/// Cumulative counters of one writer, tenant and day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// The journal incarnation that counted.
    pub writer: u64,
    /// Whose usage.
    pub tenant: TenantId,
    /// Of which UTC day.
    pub day: Day,
    /// Since the incarnation began; never smaller than what is stored.
    pub totals: Totals,
}

/// A page of a table, in the order of ids.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Which table.
    pub table: Table,
    /// Only ids that begin with this.
    pub prefix: String,
    /// Only ids beyond this one: after it, or before it where `newest_first`.
    pub after: Option<String>,
    /// From the last id to the first.
    pub newest_first: bool,
    /// At most so many records.
    pub limit: usize,
}

/// One thing that changed, for those who follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The commit.
    pub version: Version,
    /// The record that was put or deleted.
    pub key: Key,
}

/// Everything, for a backup.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Schema version of the data.
    pub schema: u32,
    /// Every record (audit rows included).
    pub records: Vec<Record>,
    /// Every usage row.
    pub usage: Vec<UsageRow>,
    /// The last number drawn from each sequence.
    pub numbers: Vec<(String, u64)>,
}

/// Why the store did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A precondition did not hold; nothing was written.
    #[error("{0:?} was changed by someone else meanwhile")]
    Conflict(Key),
    /// A key, value or table that the store cannot take.
    #[error("the store cannot hold this: {0}")]
    Refused(String),
    /// What is on disk is not what was written.
    #[error("{0}")]
    Damaged(String),
    /// Someone else has it open.
    #[error("{0}")]
    Locked(String),
    /// Made by a newer or unknown version.
    #[error("{0}")]
    Schema(String),
    /// The database or its disk failed; the text says what to do.
    #[error("the store is not available: {0}")]
    Unavailable(String),
}

/// What every database must do; `store::conformance` holds each implementation to it.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Does all of `tx` or nothing; durable when it answers.
    async fn commit(&self, tx: Tx) -> Result<Committed, StoreError>;

    /// One record.
    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError>;

    /// Several records, each as it is or none: in the order of `keys`, and not as of one moment.
    async fn get_all(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            found.push(self.get(key).await?);
        }
        Ok(found)
    }

    /// A page of records.
    async fn scan(&self, scan: Scan) -> Result<Vec<Record>, StoreError>;

    /// Raises cumulative counters, each for itself, to at least these; so the same rows again, or older ones, change nothing.
    /// Durable when it answers.
    async fn add_usage(&self, rows: Vec<UsageRow>) -> Result<(), StoreError>;

    /// The rows of one tenant over `days` (end excluded), one for each writer and day.
    async fn usage(&self, tenant: TenantId, days: Range<Day>) -> Result<Vec<UsageRow>, StoreError>;

    /// The rows of all tenants from `from` on, in the order of tenants: a page of those after `after`, as many whole tenants as fit
    /// into `limit` rows, but at least one (where `limit` is not 0). Within a tenant in the order of days.
    async fn usage_since(&self, from: Day, after: Option<TenantId>, limit: usize) -> Result<Vec<UsageRow>, StoreError>;

    /// Takes or renews a lease (name and holder are written like ids): true where `holder` has it for `ttl` from `now`.
    async fn lease(&self, name: &str, holder: &str, now: Millis, ttl: Duration) -> Result<bool, StoreError>;

    /// What changed after `since`, oldest first: as many whole commits as fit into `limit`, but at least one (where `limit` is
    /// not 0). The last [`KEPT_CHANGES`] changes are kept.
    async fn changes(&self, since: Version, limit: usize) -> Result<Vec<Changed>, StoreError>;

    /// The version of the newest commit; an error where nothing can be committed.
    async fn version(&self) -> Result<Version, StoreError>;

    /// Everything, as of one moment.
    async fn export(&self) -> Result<Snapshot, StoreError>;

    /// Fills an empty store; refuses one that is not.
    async fn import(&self, snapshot: Snapshot) -> Result<(), StoreError>;
}
