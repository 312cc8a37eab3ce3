//! Recovery: what earlier processes left in the directory, brought to the store and then deleted.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::{format, incarnation};
use crate::metering::fold::BATCH;
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
    newest: u64,
}

impl Earlier {
    /// Reads all segments in `dir`; removes files that were never finished.
    pub(super) fn read(dir: &Path) -> Result<Self, JournalError> {
        let mut earlier = Self { dir: dir.to_owned(), files: Vec::new(), rows: Vec::new(), newest: 0 };
        let mut keys = HashSet::new();
        for entry in fs::read_dir(dir).map_err(JournalError::io("list", dir))? {
            let path = entry.map_err(JournalError::io("list", dir))?.path();
            // Every name of ours is text; what is not is someone else's, and stays.
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if is_unfinished(name) {
                fs::remove_file(&path).map_err(JournalError::io("delete", &path))?;
            } else if format::is_segment(name) {
                let (header, rows) = format::read(&path)?;
                if rows.iter().any(|row| !keys.insert((row.writer, row.tenant, row.day))) {
                    return Err(JournalError::damaged(&path, "a tenant's day is counted twice"));
                }
                earlier.newest = earlier.newest.max(header.incarnation);
                earlier.rows.extend(rows);
                earlier.files.push(path);
            }
        }
        Ok(earlier)
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

    /// Stores the final values. They are the same each time, since nobody counts there any more.
    pub(super) async fn fold_into(&self, store: &dyn Store) -> Result<(), JournalError> {
        for batch in self.rows.chunks(BATCH) {
            store.add_usage(batch.to_vec()).await?;
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
    name.strip_suffix(UNFINISHED).is_some_and(|name| format::is_segment(name) || name == incarnation::FILE)
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
