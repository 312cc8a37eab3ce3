//! A segment: one preallocated, mapped file of slots, and what the store has acknowledged of them.

use std::fs;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cell::Cell;
use super::error::JournalError;
use super::format::Header;
use super::map::Mapping;
use super::page::{self, Page};
use super::slot::Slot;
use crate::model::{Day, TenantId, Totals};
use crate::store::{Key, UsageRow};

/// Which segment is wished for a new slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    stored: Mutex<Stored>,
}

/// What the store has of a segment.
#[derive(Default)]
struct Stored {
    /// Its days are over: what is stored now are rows, which stay when the segment is gone. Before that they are pages.
    as_rows: bool,
    /// By index; shorter where the rest was never stored in this form.
    totals: Vec<Totals>,
}

/// What the store does not have yet of a segment.
pub(super) enum Unstored {
    /// Whole pages in which something changed.
    Pages(Vec<Page>),
    /// Rows that changed, with the indices of their cells.
    Rows(Vec<(usize, UsageRow)>),
}

impl Segment {
    /// Makes its file: its blocks allocated, its header durable, its pages in memory.
    pub(super) fn create(dir: &Path, header: Header, lock: &Arc<File>) -> Result<Self, JournalError> {
        let (path, mapping) = Mapping::create(dir, header, lock)?;
        Ok(Self {
            path,
            header,
            mapping: Arc::new(mapping),
            next: AtomicU32::new(0),
            latest: AtomicI32::new(NO_DAY),
            stored: Mutex::default(),
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
    pub(super) fn rows(&self) -> impl Iterator<Item = (usize, UsageRow)> {
        self.rows_of(0, self.cells())
    }

    /// The same of some neighbouring cells, the first of which is at `start`.
    fn rows_of(&self, start: usize, cells: &[Cell]) -> impl Iterator<Item = (usize, UsageRow)> {
        let row = move |(offset, cell): (usize, &Cell)| {
            let (tenant, day) = cell.key()?;
            Some((start + offset, UsageRow { writer: self.header.incarnation, tenant, day, totals: cell.totals() }))
        };
        cells.iter().enumerate().filter_map(row)
    }

    /// What the store does not have.
    pub(super) fn unstored(&self) -> Unstored {
        let stored = self.stored();
        let is_news = |index: usize, totals: &Totals| *totals != stored.totals.get(index).copied().unwrap_or_default();
        if stored.as_rows {
            return Unstored::Rows(self.rows().filter(|(index, row)| is_news(*index, &row.totals)).collect());
        }
        let page = |(number, cells): (usize, &[Cell])| {
            let start = number * page::SLOTS;
            // Most have nothing new, and this is done each second.
            if !cells.iter().enumerate().any(|(offset, cell)| is_news(start + offset, &cell.totals()) && cell.key().is_some()) {
                return None;
            }
            let rows = self.rows_of(start, cells).collect();
            Some(Page { incarnation: self.header.incarnation, sequence: self.header.sequence, number, rows })
        };
        Unstored::Pages(self.cells().chunks(page::SLOTS).enumerate().filter_map(page).collect())
    }

    /// The store has these counters of slots, as rows or as pages; those that it did not have before. A page that was written
    /// while the segment went over to rows is no row, and acknowledges none.
    pub(super) fn acknowledge(&self, rows: &[(usize, UsageRow)], as_rows: bool) -> Vec<UsageRow> {
        let mut stored = self.stored();
        if stored.as_rows != as_rows {
            return rows.iter().map(|(_, row)| *row).collect();
        }
        let mut changed = Vec::new();
        for (index, row) in rows {
            if stored.totals.len() <= *index {
                stored.totals.resize(index + 1, Totals::default());
            }
            if let Some(entry) = stored.totals.get_mut(*index) {
                if *entry != row.totals {
                    changed.push(*row);
                }
                *entry = row.totals;
            }
        }
        changed
    }

    /// From now on rows are stored, all of them once more. True where that was so already.
    pub(super) fn store_as_rows(&self) -> bool {
        let mut stored = self.stored();
        let before = std::mem::replace(&mut stored.as_rows, true);
        if !before {
            stored.totals.clear();
        }
        before
    }

    /// True where the store has the row of all that a slot counted, and no call of it is in flight.
    pub(super) fn is_settled(&self, index: usize, totals: &Totals) -> bool {
        let stored = self.stored();
        let acknowledged = stored.totals.get(index).copied().unwrap_or_default();
        stored.as_rows && acknowledged == *totals && totals.admitted == totals.metered.saturating_add(totals.given_back)
    }

    /// The keys of all pages that it may have in the store.
    pub(super) fn page_keys(&self) -> Vec<Key> {
        let pages = 0..self.used().div_ceil(page::SLOTS);
        pages.map(|number| page::key(self.header.incarnation, self.header.sequence, number)).collect()
    }

    /// Writes to the file without changing it.
    pub(super) fn touch(&self) {
        if let Some(cell) = self.mapping.cells().first() {
            cell.rejected.fetch_add(0, Ordering::Relaxed);
        }
    }

    /// Makes what was counted so far survive a power failure.
    pub(super) fn sync(&self) -> Result<(), JournalError> {
        if self.is_unused() {
            return Ok(());
        }
        self.mapping.sync(self.used()).map_err(JournalError::io("sync", &self.path))
    }

    /// Deletes its file; the caller knows that nothing in it is needed.
    pub(super) fn delete(&self) -> Result<(), JournalError> {
        fs::remove_file(&self.path).map_err(JournalError::io("delete", &self.path))
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        // Whole values are replaced under it, so a panic elsewhere leaves none half-written.
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
