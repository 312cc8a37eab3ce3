//! A disk without room: it damages nothing, and what it stops goes on once there is room.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use super::*;

/// A small file system of its own; none where that is not allowed.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of_mebibytes(size: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}m"), "tmpfs"]).arg(folder.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("left out: a file system of its own needs root");
        None
    }

    /// Where the store lies.
    fn store(&self) -> PathBuf {
        self.0.path().join("store")
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.0.path().join("filler")).unwrap();
        for size in [64 << 10, 4 << 10, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Leaves so many bytes more to others.
    fn give_way(&self, bytes: u64) {
        let file = OpenOptions::new().write(true).open(self.0.path().join("filler")).unwrap();
        file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

fn unfinished(store: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(store.join("sled")).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.extension().is_some_and(|end| end == "generating")).collect()
}

#[test]
fn a_start_that_a_full_disk_cuts_off_at_any_point_harms_nothing() {
    let Some(disk) = Disk::of_mebibytes(12) else { return };
    let before = filled(&disk.store(), 60);
    disk.fill();
    let mut cut_off = 0;
    // A page more each time, so that sled gets one write further.
    let store = loop {
        match Embedded::open(&disk.store()) {
            Ok(store) => break store,
            Err(StoreError::Unavailable(text)) => assert!(text.contains("not full"), "{text}"),
            Err(other) => panic!("{other:?}"),
        }
        cut_off += unfinished(&disk.store()).len();
        disk.give_way(4 << 10);
    };
    assert!(cut_off > 0, "it was never cut off in the middle of a snapshot");
    assert!(export(&store).unwrap() == before);
    assert!(unfinished(&disk.store()).is_empty());
}
