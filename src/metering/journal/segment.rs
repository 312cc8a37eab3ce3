//! A segment: one preallocated, mapped file of slots, and what the store has acknowledged of them.

use std::fs;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FallocateFlags, fallocate};

use super::cell::Cell;
use super::error::JournalError;
use super::format::Header;
use super::map::Mapping;
use super::recovery::make_whole;
use super::slot::Slot;
use crate::model::{Day, TenantId, Totals};
use crate::store::UsageRow;

/// Which segment is wished for a new slot.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wish {
    /// One that has slots of the same day.
    SameDay,
    /// One that has none.
    Unused,
    /// Whatever has room.
    Any,
}

/// Added to `next` when nothing may be claimed any more.
const SEALED: u32 = 1 << 31;
/// `latest` of a segment without slots; no clock gets there.
const NO_DAY: i32 = i32::MIN;

pub(super) struct Segment {
    path: PathBuf,
    header: Header,
    mapping: Arc<Mapping>,
    /// The next free cell, with [`SEALED`] on top.
    next: AtomicU32,
    /// The latest day that has a slot here: a hint, each slot's own key decides.
    latest: AtomicI32,
    /// By index, what the store has; shorter where the rest has never been folded.
    acknowledged: Mutex<Vec<Totals>>,
}

impl Segment {
    /// Makes its file: its blocks allocated, its header durable, its pages in memory.
    pub(super) fn create(dir: &Path, header: Header, lock: &Arc<File>) -> Result<Self, JournalError> {
        let name = header.file_name();
        let path = dir.join(&name);
        let file = make_whole(dir, &name, |file| {
            fallocate(&*file, FallocateFlags::empty(), 0, header.file_size())?;
            file.write_all(&header.encode())
        })?;
        let mapping = Mapping::new(&file, header.capacity as usize, Arc::clone(lock)).map_err(|cause| {
            // It has no slot yet. Should this fail too, the next start finds it empty.
            let _ = fs::remove_file(&path);
            JournalError::io("map", &path)(cause)
        })?;
        Ok(Self {
            path,
            header,
            mapping: Arc::new(mapping),
            next: AtomicU32::new(0),
            latest: AtomicI32::new(NO_DAY),
            acknowledged: Mutex::default(),
        })
    }

    /// True where the segment is what is wished for; it may be full all the same.
    pub(super) fn fits(&self, wish: Wish, day: Day) -> bool {
        match wish {
            Wish::SameDay => self.latest.load(Ordering::Relaxed) == day.0,
            Wish::Unused => self.is_unused(),
            Wish::Any => true,
        }
    }

    /// Claims a cell for a key that has none; `None` where it is full or sealed.
    pub(super) fn claim(&self, tenant: TenantId, day: Day) -> Option<Slot> {
        let room = |next: u32| (next < self.header.capacity).then(|| next + 1);
        let index = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        self.latest.fetch_max(day.0, Ordering::Relaxed);
        let slot = Slot::new(&self.mapping, index as usize, day)?;
        slot.cell().write_key(self.header.position(index), tenant, day);
        Some(slot)
    }

    /// Lets nobody claim any more.
    pub(super) fn seal(&self) {
        self.next.fetch_or(SEALED, Ordering::Relaxed);
    }

    /// How many cells were claimed, those included whose key is being written.
    pub(super) fn used(&self) -> usize {
        (self.next.load(Ordering::Relaxed) & !SEALED) as usize
    }

    /// True where no cell is claimed.
    pub(super) fn is_unused(&self) -> bool {
        self.next.load(Ordering::Relaxed) == 0
    }

    /// The latest day of its slots.
    pub(super) fn latest(&self) -> Option<Day> {
        Some(self.latest.load(Ordering::Relaxed)).filter(|day| *day != NO_DAY).map(Day)
    }

    /// The claimed cells, by index.
    pub(super) fn cells(&self) -> &[Cell] {
        let cells = self.mapping.cells();
        cells.get(..self.used()).unwrap_or(cells)
    }

    /// Cumulative rows of its slots, with their indices.
    pub(super) fn rows(&self) -> Vec<(usize, UsageRow)> {
        let row = |(index, cell): (usize, &Cell)| {
            let (tenant, day) = cell.key()?;
            Some((index, UsageRow { writer: self.header.incarnation, tenant, day, totals: cell.totals() }))
        };
        self.cells().iter().enumerate().filter_map(row).collect()
    }

    /// Those rows that the store does not have.
    pub(super) fn rows_not_acknowledged(&self) -> Vec<(usize, UsageRow)> {
        let acknowledged = self.acknowledgements();
        let mut rows = self.rows();
        rows.retain(|(index, row)| row.totals != acknowledged.get(*index).copied().unwrap_or_default());
        rows
    }

    /// The store has these counters of a slot.
    pub(super) fn acknowledge(&self, index: usize, totals: Totals) {
        let mut acknowledged = self.acknowledgements();
        if acknowledged.len() <= index {
            acknowledged.resize(index + 1, Totals::default());
        }
        if let Some(entry) = acknowledged.get_mut(index) {
            *entry = totals;
        }
    }

    /// True where the store has all that a slot counted and no call of it is in flight.
    pub(super) fn is_settled(&self, index: usize, totals: &Totals) -> bool {
        let acknowledged = self.acknowledgements().get(index).copied().unwrap_or_default();
        acknowledged == *totals && totals.admitted == totals.metered.saturating_add(totals.given_back)
    }

    /// Deletes its file; the caller knows that nothing in it is needed.
    pub(super) fn delete(&self) -> Result<(), JournalError> {
        fs::remove_file(&self.path).map_err(JournalError::io("delete", &self.path))
    }

    fn acknowledgements(&self) -> MutexGuard<'_, Vec<Totals>> {
        // Whole values are replaced under it, so a panic elsewhere leaves none half-written.
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
