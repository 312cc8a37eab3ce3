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

    fn fill(&self) {
        fill(self.0.path());
    }

    fn free(&self) {
        fs::remove_file(self.0.path().join("filler")).unwrap();
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

/// Takes all the room that is left.
fn fill(disk: &Path) {
    let mut file = OpenOptions::new().create(true).append(true).open(disk.join("filler")).unwrap();
    for size in [64 << 10, 4 << 10, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
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
    // As it lies there once it has been copied: without the room that was taken for it.
    let data = OpenOptions::new().write(true).open(disk.store().join("sled/db")).unwrap();
    data.set_len(data.metadata().unwrap().len()).unwrap();
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

/// What `name` is stored with.
fn slug(name: &str) -> Key {
    Key::new(Table::Slugs, name)
}

/// Commits until that is refused; how many were not.
async fn until_refused(store: &Embedded, begin: usize) -> (usize, String) {
    for at in begin..begin + 10_000 {
        match store.commit(commit_named(&format!("{at}"), TenantId::new(Millis(1)))).await {
            Ok(_) => {}
            Err(StoreError::Unavailable(text)) => return (at, text),
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("the disk is never full");
}

#[test]
fn on_a_full_disk_reads_go_on_and_writes_are_refused_until_there_is_room() {
    let Some(disk) = Disk::of_mebibytes(12) else { return };
    let store = Embedded::open(&disk.store()).unwrap();
    let mut end = 0;
    runtime().block_on(async {
        for round in 0..3 {
            disk.fill();
            let (committed, text) = until_refused(&store, end).await;
            assert!(text.contains(disk.store().to_str().unwrap()) && text.contains("no room") && text.contains("free some"), "{text}");
            assert!(store.version().await.is_err());
            let before = store.export().await.unwrap();
            for at in 0..committed {
                let found = store.get(&slug(&format!("{at}"))).await.unwrap();
                assert_eq!(found.map(|record| record.value), Some(format!("{at}").into_bytes()), "round {round}");
            }
            for _ in 0..100 {
                // Long enough to find no room even where sled has let go of some meanwhile.
                let mut tx = commit_named("refused", TenantId::new(Millis(1)));
                tx.puts.push((Key::new(Table::Settings, "long"), vec![7; 400 << 10]));
                store.commit(tx).await.unwrap_err();
            }
            assert!(store.export().await.unwrap() == before, "what is refused changes nothing");
            disk.free();
            let next = store.commit(commit_named(&format!("{committed}"), TenantId::new(Millis(1)))).await.unwrap();
            assert_eq!((next.version.0, next.numbers[0]), (committed as u64 + 1, committed as u64 + 1), "no number is lost");
            assert_eq!(store.version().await.unwrap(), next.version);
            end = committed + 1;
        }
    });
    let before = export(&store).unwrap();
    assert!(before.records.iter().all(|record| record.key != slug("refused")));
    drop(store);
    assert!(export(&Embedded::open(&disk.store()).unwrap()).unwrap() == before);
}

#[test]
fn what_a_full_disk_refuses_leaves_the_changes_that_are_kept_as_they_were() {
    let Some(disk) = Disk::of_mebibytes(48) else { return };
    let store = Embedded::open(&disk.store()).unwrap();
    let many = |round: usize| Tx { puts: (0..500).map(|at| (slug(&format!("{at}")), vec![round as u8])).collect(), ..Tx::default() };
    let kept = crate::store::KEPT_CHANGES;
    runtime().block_on(async {
        for round in 0..=kept / 500 {
            store.commit(many(round)).await.unwrap();
        }
        let since = crate::store::Version(0);
        disk.fill();
        let mut refused = 0;
        for round in 0..200 {
            refused += usize::from(store.commit(many(round)).await.is_err());
        }
        assert!(refused > 100);
        let before = store.changes(since, usize::MAX).await.unwrap();
        assert_eq!(before.len(), kept);
        disk.free();
        store.commit(many(0)).await.unwrap();
        let after = store.changes(since, usize::MAX).await.unwrap();
        assert_eq!(after.len(), kept);
        assert!(after[..kept - 500] == before[500..], "changes are missing");
    });
}

#[test]
fn a_store_that_died_on_a_full_disk_opens_there_with_the_room_that_it_had_taken() {
    let Some(disk) = Disk::of_mebibytes(12) else { return };
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::embedded::tests::full::child_that_dies_on_a_full_disk", "--ignored", "--nocapture"])
        .env("STORE_UNDER_TEST", disk.store())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let committed = said.lines().find_map(|line| line.strip_prefix("committed "));
    let committed = committed.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    let store = Embedded::open(&disk.store()).unwrap();
    runtime().block_on(async {
        assert_eq!(store.version().await.unwrap().0.to_string(), committed);
        let (end, _) = until_refused(&store, 10_000).await;
        disk.free();
        store.commit(commit_named(&format!("{end}"), TenantId::new(Millis(1)))).await.unwrap();
    });
}

#[test]
#[ignore = "the process that another test starts"]
fn child_that_dies_on_a_full_disk() {
    let path = PathBuf::from(std::env::var("STORE_UNDER_TEST").unwrap());
    let store = Embedded::open(&path).unwrap();
    fill(path.parent().unwrap());
    let (committed, _) = runtime().block_on(until_refused(&store, 0));
    println!("committed {committed}");
    std::process::abort();
}
