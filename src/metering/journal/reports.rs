//! The log of reports: records one after the other in preallocated files. Appending is a few stores to a mapped page; the order
//! of the log is the order in which the reports of a tenant hold.
//!
//! What is appended waits here until it is folded into the store; then the place where the next fold begins moves on, and files
//! that lie before it go.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::SlotUnavailable;
use super::error::JournalError;
use super::format::{Header, Kind};
use super::map::Mapping;
use crate::metering::report::Report;
use crate::model::TenantId;

/// Files that are kept ahead of those in use.
const SPARES: usize = 2;

/// Where a record lies in the log of an incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(in crate::metering) struct Place {
    /// Of the file.
    pub(in crate::metering) sequence: u32,
    /// Of the record in it.
    pub(in crate::metering) index: u32,
}

/// The reports that are not folded yet.
pub(in crate::metering) struct Reports {
    incarnation: u64,
    capacity: u32,
    files: ArcSwap<Vec<Arc<LogFile>>>,
    /// Keys of reports that are in the log and not in the store, with what was reported under them.
    keys: Mutex<HashMap<[u8; 16], [u8; 16]>>,
    /// Told when a file is half full: more come than the upkeep's beat may be good for.
    wanted: Notify,
    /// Whose reports were folded since that was asked.
    tenants: Mutex<BTreeSet<TenantId>>,
}

struct LogFile {
    path: PathBuf,
    header: Header,
    mapping: Mapping,
    /// The next free record.
    next: AtomicU32,
}

impl Reports {
    /// An empty log, without a file.
    pub(super) fn new(incarnation: u64, capacity: u32) -> Self {
        Self { incarnation, capacity, files: ArcSwap::default(), keys: Mutex::default(), wanted: Notify::new(), tenants: Mutex::default() }
    }

    /// Appends a report. The caller holds what orders the reports of its tenant.
    pub(super) fn append(&self, report: &Report) -> Result<(), SlotUnavailable> {
        let files = self.files.load();
        let claimed = files.iter().find_map(|file| file.claim().map(|index| (file, index)));
        let (file, index) = claimed.ok_or(SlotUnavailable)?;
        if let Some(key) = report.key {
            self.keys().insert(key.key, key.body);
        }
        if index == self.capacity / 2 {
            self.wanted.notify_one();
        }
        // A claimed index lies within the file.
        if let Some(record) = file.mapping.records().get(index as usize) {
            record.write(file.header.position(index), report);
        }
        Ok(())
    }

    /// Waits until more files are wanted.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// How many reports there is room for.
    pub(super) fn free(&self) -> u64 {
        self.files.load().iter().map(|file| u64::from(file.header.capacity).saturating_sub(file.used() as u64)).sum()
    }

    /// True while there is room for reports of calls that are in flight as well: a quarter of a file.
    pub(super) fn has_room(&self) -> bool {
        self.free() >= u64::from(self.capacity / 4)
    }

    /// What was reported under this key, if that is not folded yet.
    pub(super) fn waiting(&self, key: &[u8; 16]) -> Option<[u8; 16]> {
        self.keys().get(key).copied()
    }

    /// Whose reports were folded since this was asked last.
    pub(super) fn take_tenants(&self) -> BTreeSet<TenantId> {
        std::mem::take(&mut *self.tenants.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The complete reports from `place` on, at most `most`, and where the next ones begin.
    pub(in crate::metering) fn from(&self, place: Place, most: usize) -> (Vec<Report>, Place) {
        let (mut found, begin) = (Vec::new(), place);
        let mut place = begin;
        for file in self.files.load().iter().filter(|file| file.header.sequence >= begin.sequence) {
            if file.header.sequence > place.sequence {
                place = Place { sequence: file.header.sequence, index: 0 };
            }
            for record in file.mapping.records().iter().skip(place.index as usize) {
                // One that is being written comes with the next fold, and those after it too: their order counts.
                let Some(report) = record.get().filter(|_| found.len() < most) else { return (found, place) };
                found.push(report);
                place.index += 1;
            }
        }
        (found, place)
    }

    /// The reports from one place up to another.
    pub(in crate::metering) fn between(&self, begin: Place, end: Place) -> Vec<Report> {
        let (mut found, mut place) = (Vec::new(), begin);
        while place < end {
            let (report, next) = self.from(place, 1);
            if report.is_empty() || next > end {
                break;
            }
            found.extend(report);
            place = next;
        }
        found
    }

    /// The store has these, and everything before `place`: files that lie before it are deleted.
    pub(in crate::metering) fn folded(&self, reports: &[Report], place: Place) -> Result<(), JournalError> {
        let mut keys = self.keys();
        for key in reports.iter().filter_map(|report| report.key) {
            keys.remove(&key.key);
        }
        drop(keys);
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner).extend(reports.iter().map(|report| report.tenant));
        if !self.files.load().iter().any(|file| file.is_over(place)) {
            return Ok(());
        }
        let files = self.files.rcu(|files| files.iter().filter(|file| !file.is_over(place)).cloned().collect::<Vec<_>>());
        let over = files.iter().filter(|file| file.is_over(place));
        // The store knows where the next fold begins, so that one that stays is not read again.
        over.map(|file| fs::remove_file(&file.path).map_err(JournalError::io("delete", &file.path))).fold(Ok(()), Result::and)
    }

    /// Keeps spare files ahead. Called by one at a time.
    pub(super) fn grow(&self, dir: &Path, sequence: &mut u32, lock: &Arc<File>) -> Result<(), JournalError> {
        let unused = self.files.load().iter().filter(|file| file.used() == 0).count();
        for _ in unused..SPARES {
            let header = Header { incarnation: self.incarnation, sequence: *sequence, capacity: self.capacity, kind: Kind::Reports };
            let (path, mapping) = Mapping::create(dir, header, lock)?;
            *sequence += 1;
            let file = Arc::new(LogFile { path, header, mapping, next: AtomicU32::new(0) });
            self.files.rcu(|files| {
                let mut files = files.to_vec();
                files.push(Arc::clone(&file));
                files
            });
        }
        Ok(())
    }

    /// Makes what was reported so far survive a power failure.
    pub(super) fn sync(&self) -> Result<(), JournalError> {
        for file in self.files.load().iter().filter(|file| file.used() > 0) {
            file.mapping.sync(file.used()).map_err(JournalError::io("sync", &file.path))?;
        }
        Ok(())
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<[u8; 16], [u8; 16]>> {
        // Single inserts and removals under it, so a panic elsewhere leaves none half-done.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogFile {
    fn claim(&self) -> Option<u32> {
        let room = |next: u32| (next < self.header.capacity).then(|| next + 1);
        self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()
    }

    fn used(&self) -> usize {
        self.next.load(Ordering::Relaxed) as usize
    }

    /// Nothing of it comes at `place` or later, and nobody can append to it.
    fn is_over(&self, place: Place) -> bool {
        let whole = self.used() == self.header.capacity as usize;
        whole && (self.header.sequence < place.sequence || (self.header.sequence == place.sequence && place.index >= self.header.capacity))
    }
}
