//! The usage journal: one slot of counters for each tenant and UTC day, in preallocated files that are mapped into memory.
//!
//! Counting is an atomic add to a mapped page and nothing else. What was added stays in the page cache when the process
//! dies, by `kill -9` too; the next [`Journal::open`] writes it to the store under the incarnation that counted it. After a
//! power failure the store has everything up to the last fold.
//!
//! ```text
//! claimed ──adds──▶ changed ──fold──▶ acknowledged ──day over, no handle left──▶ retired (file deleted)
//!                      ▲                    │
//!                      └────── adds ────────┘
//! ```

mod cell;
mod error;
mod format;
mod incarnation;
mod map;
pub(super) mod page;
mod record;
mod recovery;
pub(super) mod reports;
mod segment;
mod slot;
#[cfg(test)]
mod tests;
mod upkeep;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::Notify;

use self::page::Page;
use self::recovery::Earlier;
use self::reports::{Place, Reports};
use self::segment::{Segment, Unstored, Wish};
use self::upkeep::Upkeep;
use super::report::Report;
use crate::model::{Day, Millis, TenantId, Totals};
use crate::store::{Key, Store, UsageRow};

pub use self::error::JournalError;
pub use self::slot::Slot;

/// Cells of one file: 2 MiB of it.
const CAPACITY: u32 = 16_384;

/// No slot is left: the free segments are used up, or the day is so long over that its slots are retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the usage journal has no free slot")]
pub struct SlotUnavailable;

/// The journal of this process.
pub struct Journal {
    dir: PathBuf,
    /// Shared with every mapping: the directory stays locked until the last slot is dropped.
    lock: Arc<File>,
    incarnation: u64,
    capacity: u32,
    slots: DashMap<(TenantId, Day), Slot>,
    segments: ArcSwap<Vec<Arc<Segment>>>,
    /// Slots are claimed in a segment that was unused.
    spare_begun: Notify,
    reports: Reports,
    upkeep: Mutex<Upkeep>,
    /// Pages in the store of segments that are retired.
    gone: Mutex<Vec<Key>>,
    folding: tokio::sync::Mutex<()>,
    /// Where the next fold of reports begins.
    reading: tokio::sync::Mutex<Place>,
    /// Days before this one get no new slot, because slots of theirs may have been retired: a second one for the same
    /// tenant and day would begin at zero under the same key of the store.
    closed: AtomicI32,
    /// The latest day that the upkeep has seen.
    latest: AtomicI32,
    /// There was no room for something.
    lacked: AtomicBool,
    /// What earlier processes left, until the first fold.
    recovered: Mutex<Vec<UsageRow>>,
}

/// Something that the store does not have yet: a page with a change in it, or a row that changed.
pub(super) struct Change<T> {
    segment: Arc<Segment>,
    pub(super) what: T,
}

/// A row and the index of its cell.
pub(super) type Row = (usize, UsageRow);

impl Change<Page> {
    /// The store has it; the rows that changed.
    pub(super) fn acknowledge(&self) -> Vec<UsageRow> {
        self.segment.acknowledge(self.what.rows(), false)
    }
}

impl Change<Row> {
    /// The store has it; the row, where it changed.
    pub(super) fn acknowledge(&self) -> Vec<UsageRow> {
        self.segment.acknowledge(&[self.what], true)
    }
}

/// All that the store does not have yet.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) pages: Vec<Change<Page>>,
    pub(super) rows: Vec<Change<Row>>,
}

/// The counters in a folder that no process uses, with what was in flight as aborted. Fails where one does.
pub(super) fn left_rows(dir: &Path) -> Result<Vec<UsageRow>, JournalError> {
    let _lock = recovery::lock(dir)?;
    Ok(Earlier::read(dir)?.into_rows())
}

impl Journal {
    /// Locks `dir`, folds what an earlier process left there into `store`, and begins a new incarnation.
    ///
    /// All earlier files are read before any is folded, and all are folded before any is deleted, so that it may be killed
    /// at any point and be run again. A damaged, foreign or newer file is an error, and then nothing is folded or deleted.
    pub async fn open(dir: &Path, store: &dyn Store, now: Millis) -> Result<Arc<Self>, JournalError> {
        Self::open_with(dir, store, now, CAPACITY).await
    }

    async fn open_with(dir: &Path, store: &dyn Store, now: Millis, capacity: u32) -> Result<Arc<Self>, JournalError> {
        let lock = Arc::new(recovery::lock(dir)?);
        let earlier = Earlier::read(dir)?;
        // Before anything is folded, so that a damaged one leaves all as it is.
        incarnation::last(dir)?;
        earlier.fold_into(store).await?;
        // First, since a full disk may have no room for what follows.
        earlier.delete()?;
        let incarnation = incarnation::begin(dir, earlier.newest(), now)?;
        let journal = Self {
            dir: dir.to_owned(),
            lock,
            incarnation,
            capacity,
            slots: DashMap::new(),
            segments: ArcSwap::default(),
            spare_begun: Notify::new(),
            reports: Reports::new(incarnation, capacity),
            upkeep: Mutex::default(),
            gone: Mutex::default(),
            folding: tokio::sync::Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            closed: AtomicI32::new(i32::MIN),
            latest: AtomicI32::new(i32::MIN),
            lacked: AtomicBool::new(false),
            recovered: Mutex::default(),
        };
        // Every tenant that was active before the restart may come back within the first second.
        journal.prepare(earlier.busiest_day())?;
        *journal.recovered.lock().unwrap_or_else(PoisonError::into_inner) = earlier.into_rows();
        Ok(Arc::new(journal))
    }

    /// The writer under which this journal's rows are stored.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The slot of a tenant's day: found or claimed, without a system call (but the allocator's own when the map grows).
    ///
    /// Fails only where every segment is full, the spare too, or the day is over since more than a day and slots of it
    /// have been retired.
    pub fn slot(&self, tenant: TenantId, day: Day) -> Result<Slot, SlotUnavailable> {
        if let Some(slot) = self.slots.get(&(tenant, day)) {
            return Ok(slot.clone());
        }
        match self.slots.entry((tenant, day)) {
            Entry::Occupied(slot) => Ok(slot.get().clone()),
            // The entry holds its shard's lock until the slot is in, so that nobody else claims one for the same key, and
            // nobody who retires this key's slot can be between raising `closed` and removing it.
            Entry::Vacant(entry) => {
                let slot = self.claim(tenant, day)?;
                entry.insert(slot.clone());
                Ok(slot)
            }
        }
    }

    fn claim(&self, tenant: TenantId, day: Day) -> Result<Slot, SlotUnavailable> {
        if day.0 < self.closed.load(Ordering::Relaxed) {
            return Err(SlotUnavailable);
        }
        let segments = self.segments.load();
        // Days are kept apart where there is room, so that whole segments fall due together.
        for wish in [Wish::SameDay, Wish::Unused, Wish::Any] {
            let claimed = segments.iter().filter(|segment| segment.fits(wish, day)).find_map(|segment| segment.claim(tenant, day));
            if let Some(slot) = claimed {
                if wish == Wish::Unused {
                    // A spare has begun: another is wanted before it is full.
                    self.spare_begun.notify_one();
                }
                return Ok(slot);
            }
        }
        self.lacked.store(true, Ordering::Relaxed);
        Err(SlotUnavailable)
    }

    /// The counters of a tenant's day, where it has a slot; after its retirement the store has their last values.
    pub fn totals(&self, tenant: TenantId, day: Day) -> Option<Totals> {
        self.slots.get(&(tenant, day)).map(|slot| slot.totals())
    }

    /// Cumulative rows of every slot that is not retired.
    pub fn rows(&self) -> Vec<UsageRow> {
        self.segments.load().iter().flat_map(|segment| segment.rows().collect::<Vec<_>>()).map(|(_, row)| row).collect()
    }

    /// Waits until no other fold is under way. Two at once could bring an older value to the store after a newer one.
    pub(super) async fn fold_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.folding.lock().await
    }

    /// What the store does not have yet.
    pub(super) fn changes(&self) -> Changes {
        let mut changes = Changes::default();
        for segment in self.segments.load().iter() {
            match segment.unstored() {
                Unstored::Pages(pages) => changes.pages.extend(pages.into_iter().map(|what| Change { segment: Arc::clone(segment), what })),
                Unstored::Rows(rows) => changes.rows.extend(rows.into_iter().map(|what| Change { segment: Arc::clone(segment), what })),
            }
        }
        changes
    }

    /// What earlier processes left; once.
    pub(super) fn recovered(&self) -> Vec<UsageRow> {
        std::mem::take(&mut *self.recovered.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Pages in the store whose slots are rows by now; who takes them removes them or brings them back.
    pub(super) fn gone(&self) -> MutexGuard<'_, Vec<Key>> {
        // It is taken and put back whole.
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a report: it survives the process from here on. The caller orders the reports of each tenant.
    pub fn report(&self, report: &Report) -> Result<(), SlotUnavailable> {
        self.reports.append(report).inspect_err(|_| self.lacked.store(true, Ordering::Relaxed))
    }

    /// The day that is counted on: a clock that went back stays on the later day.
    pub fn today(&self, clock: Day) -> Day {
        clock.max(Day(self.latest.load(Ordering::Relaxed)))
    }

    /// Waits until tenants or reports come so fast that there should be more room before its time: see [`provide`](Self::provide).
    pub async fn wants_room(&self) {
        tokio::select! {
            () = self.reports.wanted() => {}
            () = self.spare_begun.notified() => {}
        }
    }

    /// True while calls that are let in now can be sure that what they report finds room.
    pub fn takes_reports(&self) -> bool {
        self.reports.has_room()
    }

    /// True where there was no room for something since the last time this was asked: it is to be brought again.
    pub fn lacked_room(&self) -> bool {
        self.lacked.swap(false, Ordering::Relaxed)
    }

    /// What was reported under this key, where the store does not know it yet.
    pub fn waiting_report(&self, key: &[u8; 16]) -> Option<[u8; 16]> {
        self.reports.waiting(key)
    }

    /// Whose reports were folded since this was asked last, by whomever.
    pub fn take_reported(&self) -> Vec<TenantId> {
        self.reports.take_tenants().into_iter().collect()
    }

    /// The log of reports, for its fold.
    pub(super) fn reports(&self) -> &Reports {
        &self.reports
    }

    /// Waits until no other fold of reports is under way; where this one begins.
    pub(super) async fn report_turn(&self) -> tokio::sync::MutexGuard<'_, Place> {
        self.reading.lock().await
    }
}
