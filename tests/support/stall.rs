//! A disk that stops answering, as one process sees it: writes and syncs below a folder wait until the test lets them go.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Holds up the writes of processes that are started with its [`settings`](Self::settings).
pub struct Stall {
    folder: tempfile::TempDir,
    below: PathBuf,
}

impl Stall {
    /// Of writes to what is in `below`; not begun yet.
    pub fn below(below: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/stall.c");
        let library = folder.path().join("stall.so");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).status();
        assert!(built.expect("cc is installed").success());
        Self { folder, below: below.to_owned() }
    }

    /// Variables of the process.
    pub fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("LD_PRELOAD", self.folder.path().join("stall.so").display().to_string()),
            ("STALL_BELOW", self.below.display().to_string()),
            ("STALL_WHILE", self.file().display().to_string()),
        ]
    }

    /// From now on nothing is written.
    pub fn begin(&self) {
        fs::write(self.file(), "").expect("a file");
    }

    /// All goes on.
    pub fn end(&self) {
        fs::remove_file(self.file()).expect("it has begun");
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("stalled")
    }
}
