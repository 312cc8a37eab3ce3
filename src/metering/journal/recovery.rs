//! Recovery: what earlier processes left in the directory, brought to the store and then deleted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::format::{self, Contents, Kind};
use super::incarnation;
use super::reports::Place;
use crate::metering::fold;
use crate::metering::report::Report;
use crate::metering::report_fold;
use crate::model::{Day, TenantId};
use crate::store::{Store, UsageRow};

const LOCK: &str = "lock";
/// Ends the name of a file that is being made.
const UNFINISHED: &str = ".new";

/// Makes the directory where it is missing and locks it for as long as the file is open.
pub(super) fn lock(dir: &Path) -> Result<File, JournalError> {
    fs::create_dir_all(dir).map_err(JournalError::io("create", dir))?;
    let path = dir.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(JournalError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(JournalError::io("lock", &path)(error)),
    }
}

/// Everything that earlier incarnations counted and may not have stored.
pub(super) struct Earlier {
    dir: PathBuf,
    files: Vec<PathBuf>,
    rows: Vec<UsageRow>,
    keys: HashSet<(u64, TenantId, Day)>,
    /// By incarnation, in the order in which they were made.
    reports: BTreeMap<u64, BTreeMap<Place, Report>>,
    newest: u64,
}

impl Earlier {
    /// Reads all segments in `dir`; removes files that were never finished.
    pub(super) fn read(dir: &Path) -> Result<Self, JournalError> {
        let (files, rows, keys, reports) = Default::default();
        let mut earlier = Self { dir: dir.to_owned(), files, rows, keys, reports, newest: 0 };
        for entry in fs::read_dir(dir).map_err(JournalError::io("list", dir))? {
            let path = entry.map_err(JournalError::io("list", dir))?.path();
            // Every name of ours is text; what is not is someone else's, and stays.
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if is_unfinished(name) {
                fs::remove_file(&path).map_err(JournalError::io("delete", &path))?;
            } else if Kind::of_name(name).is_some() {
                earlier.take(path)?;
            }
        }
        Ok(earlier)
    }

    fn take(&mut self, path: PathBuf) -> Result<(), JournalError> {
        let (header, contents) = format::read(&path)?;
        match contents {
            Contents::Slots(rows) => {
                if rows.iter().any(|row| !self.keys.insert((row.writer, row.tenant, row.day))) {
                    return Err(JournalError::damaged(&path, "a tenant's day is counted twice"));
                }
                self.rows.extend(rows);
            }
            Contents::Reports(reports) => {
                let places = reports.into_iter().map(|(index, report)| (Place { sequence: header.sequence, index }, report));
                self.reports.entry(header.incarnation).or_default().extend(places);
            }
        }
        self.newest = self.newest.max(header.incarnation);
        self.files.push(path);
        Ok(())
    }

    /// The largest incarnation there was; zero where there was none.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// The most slots that one incarnation used for one day.
    pub(super) fn busiest_day(&self) -> usize {
        let mut days = HashMap::new();
        for row in &self.rows {
            *days.entry((row.writer, row.day)).or_insert(0) += 1;
        }
        days.into_values().max().unwrap_or(0)
    }

    /// What was counted.
    pub(super) fn into_rows(self) -> Vec<UsageRow> {
        self.rows
    }

    /// Stores the final values. They are the same each time, since nobody counts there any more.
    pub(super) async fn fold_into(&self, store: &dyn Store) -> Result<(), JournalError> {
        fold::settle(store, &self.rows).await?;
        for (incarnation, reports) in &self.reports {
            report_fold::fold_all(store, *incarnation, reports).await?;
        }
        Ok(())
    }

    /// Deletes the files, which the store has made unnecessary.
    pub(super) fn delete(&self) -> Result<(), JournalError> {
        for path in &self.files {
            fs::remove_file(path).map_err(JournalError::io("delete", path))?;
        }
        sync_dir(&self.dir)
    }
}

/// True for a file of ours that was never in use.
fn is_unfinished(name: &str) -> bool {
    name.strip_suffix(UNFINISHED).is_some_and(|name| Kind::of_name(name).is_some() || name == incarnation::FILE)
}

/// Makes or replaces a file so that it is there as a whole or not at all, and durable.
pub(super) fn write_whole(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), JournalError> {
    make_whole(dir, name, |file| file.write_all(bytes)).map(drop)
}

/// As [`write_whole`], filled by `fill`; the file, open for reading and writing.
pub(super) fn make_whole(dir: &Path, name: &str, fill: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<File, JournalError> {
    let unfinished = dir.join(format!("{name}{UNFINISHED}"));
    let make = || {
        let mut file = File::options().create(true).truncate(true).read(true).write(true).open(&unfinished)?;
        fill(&mut file)?;
        file.sync_all()?;
        fs::rename(&unfinished, dir.join(name))?;
        Ok(file)
    };
    let file = make().map_err(|cause| {
        // Gives back the room it has taken. Should that fail too, the next start removes it.
        let _ = fs::remove_file(&unfinished);
        JournalError::io("make", &dir.join(name))(cause)
    })?;
    sync_dir(dir)?;
    Ok(file)
}

fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(JournalError::io("sync", dir))
}
