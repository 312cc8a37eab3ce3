//! A process with a clock of its own: libfaketime between the program and the system's clock, moved while the program runs.
//! Monotonic time stays real.

use std::path::{Path, PathBuf};

use super::gateway::GatewayBuilder;

/// The clock of one process.
pub struct FakeTime {
    file: PathBuf,
    _dir: tempfile::TempDir,
}

impl FakeTime {
    /// A clock that says `utc`, such as `2026-11-30T23:59:00Z`, and runs on from there.
    pub fn at(utc: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let clock = Self { file: dir.path().join("offset"), _dir: dir };
        clock.set(utc);
        clock
    }

    /// Moves the clock, forward or back.
    pub fn set(&self, utc: &str) {
        let wanted: jiff::Timestamp = utc.parse().expect("a time");
        let offset = wanted.as_millisecond() - jiff::Timestamp::now().as_millisecond();
        // Whole at once: the program reads it whenever it asks for the time.
        let draft = self.file.with_extension("new");
        std::fs::write(&draft, format!("{:+}.{:03}", offset / 1000, (offset % 1000).abs())).expect("a file");
        std::fs::rename(&draft, &self.file).expect("the file takes its place");
    }

    /// A gateway that follows this clock.
    pub fn of(&self, gateway: GatewayBuilder) -> GatewayBuilder {
        gateway
            .set("LD_PRELOAD", &library().display().to_string())
            .set("FAKETIME_TIMESTAMP_FILE", &self.file.display().to_string())
            .set("FAKETIME_NO_CACHE", "1")
            .set("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }
}

/// Debian's package `libfaketime` puts it into the folder of the machine's kind.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("a system with /usr/lib").flatten().map(|entry| entry.path());
    let library = |folder: PathBuf| Some(folder.join("faketime/libfaketime.so.1")).filter(|path: &PathBuf| Path::exists(path));
    folders.filter_map(library).next().expect("libfaketime is installed (tests/run does that)")
}
