//! Tests of the journal and its fold, on real files.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod claims;
mod files;
mod folding;
mod process;
mod retirement;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;

use super::{Journal, JournalError, Slot, SlotUnavailable};
use crate::metering::fold;
use crate::model::{Day, Millis, TenantId, Totals};
use crate::store::memory::Memory;
use crate::store::{Changed, Committed, Key, Record, Scan, Snapshot, Store, StoreError, Tx, UsageRow, Version};

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

async fn stored(store: &dyn Store) -> Vec<UsageRow> {
    store.export().await.unwrap().usage
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

/// A store in memory whose usage fails after some more batches.
struct Flaky {
    inner: Memory,
    batches: AtomicUsize,
}

impl Flaky {
    fn after(batches: usize) -> Self {
        Self { inner: Memory::default(), batches: AtomicUsize::new(batches) }
    }

    fn allow(&self, batches: usize) {
        self.batches.store(batches, Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for Flaky {
    async fn commit(&self, tx: Tx) -> Result<Committed, StoreError> {
        self.inner.commit(tx).await
    }
    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.inner.get(key).await
    }
    async fn scan(&self, scan: Scan) -> Result<Vec<Record>, StoreError> {
        self.inner.scan(scan).await
    }
    async fn add_usage(&self, rows: Vec<UsageRow>) -> Result<(), StoreError> {
        let left = |batches: usize| batches.checked_sub(1);
        if self.batches.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_err() {
            return Err(StoreError::Unavailable("the test says so".to_owned()));
        }
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
