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
mod recovery;
mod segment;
mod slot;
#[cfg(test)]
mod tests;
mod upkeep;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use self::recovery::Earlier;
use self::segment::{Segment, Wish};
use self::upkeep::Upkeep;
use crate::model::{Day, Millis, TenantId, Totals};
use crate::store::{Store, UsageRow};

pub use self::error::JournalError;
pub use self::slot::Slot;

/// Slots of one segment: 2 MiB of file.
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
    upkeep: Mutex<Upkeep>,
    folding: tokio::sync::Mutex<()>,
    /// Days before this one get no new slot, because slots of theirs may have been retired: a second one for the same
    /// tenant and day would begin at zero under the same key of the store.
    closed: AtomicI32,
}

/// A slot whose counters are not what the store acknowledged last.
pub(super) struct Change {
    segment: Arc<Segment>,
    index: usize,
    pub(super) row: UsageRow,
}

impl Change {
    /// The store has it.
    pub(super) fn acknowledge(&self) {
        self.segment.acknowledge(self.index, self.row.totals);
    }
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
            upkeep: Mutex::default(),
            folding: tokio::sync::Mutex::default(),
            closed: AtomicI32::new(i32::MIN),
        };
        // Every tenant that was active before the restart may come back within the first second.
        journal.prepare(earlier.busiest_day())?;
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
        let claimed = [Wish::SameDay, Wish::Unused, Wish::Any]
            .into_iter()
            .find_map(|wish| segments.iter().filter(|segment| segment.fits(wish, day)).find_map(|segment| segment.claim(tenant, day)));
        claimed.ok_or(SlotUnavailable)
    }

    /// The counters of a tenant's day, where it has a slot; after its retirement the store has their last values.
    pub fn totals(&self, tenant: TenantId, day: Day) -> Option<Totals> {
        self.slots.get(&(tenant, day)).map(|slot| slot.totals())
    }

    /// Cumulative rows of every slot that is not retired.
    pub fn rows(&self) -> Vec<UsageRow> {
        self.segments.load().iter().flat_map(|segment| segment.rows()).map(|(_, row)| row).collect()
    }

    /// Waits until no other fold is under way. Two at once could bring an older value to the store after a newer one.
    pub(super) async fn fold_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.folding.lock().await
    }

    /// The rows that the store does not have yet.
    pub(super) fn changes(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for segment in self.segments.load().iter() {
            let changed = segment.rows_not_acknowledged();
            changes.extend(changed.into_iter().map(|(index, row)| Change { segment: Arc::clone(segment), index, row }));
        }
        changes
    }
}
