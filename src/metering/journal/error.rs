//! Why a journal cannot be used: which file, what is wrong with it, and the way out.

use std::io;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store failed while an old journal was folded; the old files are still there.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another process counts there.
    #[error("the usage journal {} is in use by another gatehouse; stop that one, or give this one a `metering.journal` of its own", dir.display())]
    Locked {
        /// The journal's directory.
        dir: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was tried, to be followed by the path.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What it answered.
        cause: io::Error,
    },
    /// What is in the file is not what was written.
    #[error("{} is damaged ({reason}); restore it, or move it out of the directory: what it counted since the last fold (each second) is then lost, the rest is in the store", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// Named like a segment, and is none.
    #[error("{} is not a usage journal; move it out of the directory. If it was one, restore it: what it counted since the last fold (each second) is lost otherwise", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// Written by a version that this one does not know.
    #[error("{} was written by a newer gatehouse (format {format}); start that version, which stores what it counted, or move the file out of the directory", path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
}

impl JournalError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Io { action, path, cause }
    }

    pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }
}
