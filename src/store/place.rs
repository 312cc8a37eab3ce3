//! Where the embedded store lies, and what its errors tell the operator: which file, what is wrong, what to do.

use std::fmt::Display;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::StoreError;

/// How the names of sled's snapshots begin.
pub(super) const SNAPSHOT: &str = "snap.";

/// A directory of one embedded store.
#[derive(Debug, Clone)]
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn new(root: &Path) -> Self {
        Self(root.to_owned())
    }

    /// The directory itself.
    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    /// Held locked by whoever has the store open.
    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// What must at least be in the database.
    pub(super) fn seal(&self) -> PathBuf {
        self.0.join("seal")
    }

    /// There while the directory is made.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.0.join("unfinished")
    }

    /// sled's own directory.
    pub(super) fn sled(&self) -> PathBuf {
        self.0.join("sled")
    }

    /// sled's log, which holds all data.
    pub(super) fn data(&self) -> PathBuf {
        self.sled().join("db")
    }

    /// What is on disk is not what was written.
    pub(super) fn damaged(&self, file: &Path, what: impl Display) -> StoreError {
        StoreError::Damaged(format!(
            "{} is damaged: {what}; gatehouse does not start on partial data: move {} away and restore the last backup",
            file.display(),
            self.0.display()
        ))
    }

    /// sled cannot read what it wrote. It does not say which of its files that was.
    pub(super) fn unreadable(&self) -> StoreError {
        self.damaged(&self.culprit(), "it cannot be read back")
    }

    /// The file that sled stumbled over: one of the small ones where its checksum does not hold, else the log.
    fn culprit(&self) -> PathBuf {
        let names = std::fs::read_dir(self.sled()).into_iter().flatten().flatten().map(|entry| entry.path());
        let snapshots = names.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(SNAPSHOT)));
        // Of several snapshots sled reads the last.
        let small = [(Some(self.sled().join("conf")), 0), (snapshots.max(), 8)];
        let broken = small.into_iter().find_map(|(path, length)| path.filter(|path| !whole(path, length).unwrap_or(true)));
        broken.unwrap_or_else(|| self.data())
    }

    /// The directory has files, but not ours.
    pub(super) fn foreign(&self, name: &str) -> StoreError {
        StoreError::Damaged(format!(
            "{} has `{name}` but not the file `seal`, so it is no store of gatehouse or a part of one: choose an empty directory, or restore the last backup into one",
            self.0.display()
        ))
    }

    /// Someone else has it open.
    pub(super) fn locked(&self, holder: &str) -> StoreError {
        let by = if holder.is_empty() { String::new() } else { format!(" by process {holder}") };
        StoreError::Locked(format!(
            "the store {} is in use{by}; stop that gatehouse, or give this one another `store.path`",
            self.0.display()
        ))
    }

    /// Made by a version with another layout.
    pub(super) fn schema(&self, found: u32, known: u32) -> StoreError {
        StoreError::Schema(format!(
            "the store {} has schema {found}, this version reads schema {known}: run the version that wrote it, or restore a backup that this one reads",
            self.0.display()
        ))
    }

    /// The disk or the system did not do it.
    pub(super) fn failed(&self, what: impl Display, error: impl Display) -> StoreError {
        StoreError::Unavailable(format!(
            "{what} in {} failed ({error}); check that the disk is mounted, writable and not full, then restart gatehouse",
            self.0.display()
        ))
    }

    /// The disk has no room for a group of commits.
    pub(super) fn full(&self, error: impl Display) -> StoreError {
        StoreError::Unavailable(format!(
            "{} has no room for more ({error}); nothing was changed, and what is stored can be read: free some room on that disk, and writes go on by themselves",
            self.0.display()
        ))
    }

    /// What an error of sled means.
    pub(super) fn of_sled(&self, what: &str, error: &sled::Error) -> StoreError {
        match error {
            sled::Error::Io(error) => self.failed(what, error),
            // What it would print has neither a file nor, mostly, a place in it.
            sled::Error::Corruption { at: None, .. } => self.unreadable(),
            sled::Error::Corruption { at: Some(at), .. } => {
                self.damaged(&self.data(), format_args!("it cannot be read back at byte {}", at.lid()))
            }
            other => self.damaged(&self.culprit(), other),
        }
    }

    /// Makes the names in `directory` durable.
    pub(super) fn sync_names(&self, directory: &Path) -> Result<(), StoreError> {
        File::open(directory).and_then(|file| file.sync_all()).map_err(|error| self.failed("syncing a directory", error))
    }

    /// Turns an I/O error into ours.
    pub(super) fn io<T>(&self, what: &str, result: io::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| self.failed(what, error))
    }
}

/// True where the CRC-32 at the end of one of sled's small files holds; `length` bytes before it say how long the content is.
fn whole(path: &Path, length: usize) -> io::Result<bool> {
    let bytes = std::fs::read(path)?;
    let Some((rest, sum)) = bytes.split_last_chunk::<4>() else { return Ok(false) };
    let Some(content) = rest.len().checked_sub(length).and_then(|end| rest.get(..end)) else { return Ok(false) };
    Ok(crc32fast::hash(content) == u32::from_le_bytes(*sum))
}
