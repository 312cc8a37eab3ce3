//! Tests of the journal and its fold, on real files.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod claims;
mod files;
mod folding;
mod process;
mod reports;
mod retirement;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;

use super::{Journal, JournalError, Slot, SlotUnavailable, page};
use crate::metering::fold;
use crate::model::{Day, Millis, TenantId, Totals};
use crate::store::memory::Memory;
use crate::store::{Changed, Committed, Key, Record, Scan, Snapshot, Store, StoreError, Table, Tx, UsageRow, Version};

/// 2026-11-25T12:00:00Z.
const NOW: Millis = Millis(1_795_608_000_000);
const TODAY: Day = NOW.day();

fn tenant(number: u32) -> TenantId {
    TenantId::from_bytes(u128::from(number).to_be_bytes())
}

/// A journal with segments of four slots.
async fn small(dir: &TempDir, store: &dyn Store) -> Arc<Journal> {
    Journal::open_with(dir.path(), store, NOW, 4).await.unwrap()
}

fn admit(slot: &Slot) {
    slot.admitted().fetch_add(1, Ordering::SeqCst);
}

/// A whole call: admitted, answered, its body handed on.
fn call(slot: &Slot, octets: u64) {
    admit(slot);
    slot.add_metered();
    slot.add_egress(octets);
}

fn calls(count: u64, octets: u64) -> Totals {
    Totals { admitted: count, metered: count, egress: octets, ..Totals::default() }
}

/// What the store has of slots, as pages or as rows.
async fn stored(store: &dyn Store) -> Vec<UsageRow> {
    let snapshot = store.export().await.unwrap();
    let mut rows = snapshot.usage;
    for record in snapshot.records.iter().filter(|record| record.key.table == Table::UsagePages) {
        let of_page = page::decode(&record.key, &record.value).unwrap();
        let known = |row: &UsageRow| rows.iter().any(|known| (known.writer, known.tenant, known.day) == (row.writer, row.tenant, row.day));
        let new: Vec<_> = of_page.into_iter().filter(|row| !known(row)).collect();
        rows.extend(new);
    }
    rows
}

/// What happens in the seconds after a day is long over.
async fn settle(journal: &Journal, store: &dyn Store, today: Day) {
    journal.maintain(today).unwrap();
    fold(journal, store).await.unwrap();
    journal.maintain(today).unwrap();
}

/// What all writers together stored of a tenant.
async fn sum(store: &dyn Store, tenant: TenantId) -> Totals {
    let mut sum = Totals::default();
    stored(store).await.iter().filter(|row| row.tenant == tenant).for_each(|row| sum.add(&row.totals));
    sum
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> = paths.filter(|path| path.extension().is_some_and(|suffix| suffix == "usage")).collect();
    segments.sort();
    segments
}

/// A store in memory that fails after some more batches, and that may take a commit and say that it failed.
struct Flaky {
    inner: Memory,
    batches: AtomicUsize,
    lies: AtomicUsize,
}

impl Flaky {
    fn after(batches: usize) -> Self {
        Self { inner: Memory::default(), batches: AtomicUsize::new(batches), lies: AtomicUsize::new(0) }
    }

    fn allow(&self, batches: usize) {
        self.batches.store(batches, Ordering::SeqCst);
    }

    fn one_more_batch(&self) -> Result<(), StoreError> {
        let left = |batches: usize| batches.checked_sub(1);
        let allowed = self.batches.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
        allowed.map(drop).map_err(|_| StoreError::Unavailable("the test says so".to_owned()))
    }
}

#[async_trait]
impl Store for Flaky {
    async fn commit(&self, tx: Tx) -> Result<Committed, StoreError> {
        self.one_more_batch()?;
        let committed = self.inner.commit(tx).await;
        let left = |lies: usize| lies.checked_sub(1);
        match self.lies.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) {
            Ok(_) => Err(StoreError::Unavailable("it was taken all the same".to_owned())),
            Err(_) => committed,
        }
    }
    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.inner.get(key).await
    }
    async fn scan(&self, scan: Scan) -> Result<Vec<Record>, StoreError> {
        self.inner.scan(scan).await
    }
    async fn add_usage(&self, rows: Vec<UsageRow>) -> Result<(), StoreError> {
        self.one_more_batch()?;
        self.inner.add_usage(rows).await
    }
    async fn usage(&self, tenant: TenantId, days: Range<Day>) -> Result<Vec<UsageRow>, StoreError> {
        self.inner.usage(tenant, days).await
    }
    async fn usage_since(&self, from: Day, after: Option<TenantId>, limit: usize) -> Result<Vec<UsageRow>, StoreError> {
        self.inner.usage_since(from, after, limit).await
    }
    async fn lease(&self, name: &str, holder: &str, now: Millis, ttl: Duration) -> Result<bool, StoreError> {
        self.inner.lease(name, holder, now, ttl).await
    }
    async fn changes(&self, since: Version, limit: usize) -> Result<Vec<Changed>, StoreError> {
        self.inner.changes(since, limit).await
    }
    async fn version(&self) -> Result<Version, StoreError> {
        self.inner.version().await
    }
    async fn export(&self) -> Result<Snapshot, StoreError> {
        self.inner.export().await
    }
    async fn import(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.inner.import(snapshot).await
    }
}
