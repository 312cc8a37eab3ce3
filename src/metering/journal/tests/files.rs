//! Damage: what is not what was written is refused by name, and then nothing is folded or deleted.

use std::fs;

use super::super::format;
use super::*;

const HEADER: usize = format::HEADER_SIZE;

/// A directory with the file of a stopped process: two tenants in four slots.
async fn left_behind() -> (TempDir, PathBuf) {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    call(&journal.slot(tenant(1), TODAY).unwrap(), 100);
    call(&journal.slot(tenant(2), TODAY).unwrap(), 200);
    drop(journal);
    let path = segments(dir.path())[0].clone();
    (dir, path)
}

/// Starts and is refused; the text names the file, fits on a line, and everything is as it was.
async fn refused(dir: &TempDir, path: &Path) -> String {
    let (store, files) = (Memory::default(), segments(dir.path()));
    let error = Journal::open(dir.path(), &store, NOW).await.err().expect("it must not start").to_string();
    assert!(error.contains(&path.display().to_string()) && !error.contains('\n'), "{error}");
    assert!(stored(&store).await.is_empty());
    assert_eq!(segments(dir.path()), files);
    error
}

/// Changes the format number and makes the header's checksum fit again.
fn with_format(bytes: &[u8], number: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[8..12].copy_from_slice(&number.to_ne_bytes());
    let crc = crc32fast::hash(&bytes[..HEADER - 4]);
    bytes[HEADER - 4..HEADER].copy_from_slice(&crc.to_ne_bytes());
    bytes
}

#[tokio::test]
async fn a_file_that_is_not_as_it_was_written_keeps_the_gateway_from_starting() {
    let (dir, path) = left_behind().await;
    let good = fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let cell = |index: usize| HEADER + index * 128;
    let table: [(&str, Vec<u8>); 10] = [
        ("damaged (its length", good[..good.len() - 1].to_vec()),
        ("damaged (its length", good[..HEADER].to_vec()),
        ("damaged (its length", good[..100].to_vec()),
        ("damaged (its length", Vec::new()),
        ("damaged (the checksum of its header", flipped(20)),
        ("damaged (slot 1: the checksum of a slot's key", flipped(cell(1) + 80)),
        ("damaged (slot 0: a slot is neither used nor unused", flipped(cell(0) + 64)),
        ("damaged (slot 3: an unused slot has counted", flipped(cell(3) + 8)),
        ("is not a usage journal", b"#!/bin/sh\n".repeat(1_000)),
        ("written by a newer gatehouse (format 3)", with_format(&good, 3)),
    ];
    for (reason, bytes) in table {
        fs::write(&path, &bytes).unwrap();
        let error = refused(&dir, &path).await;
        assert!(error.contains(reason) && error.contains("move"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "it is not touched");
    }
    fs::write(&path, &good).unwrap();
    let store = Memory::default();
    small(&dir, &store).await;
    assert_eq!(sum(&store, tenant(2)).await, calls(1, 200));
}

#[tokio::test]
async fn one_damaged_file_holds_back_the_others() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    (0..8).for_each(|number| call(&journal.slot(tenant(number), TODAY).unwrap(), 1));
    drop(journal);
    let last = segments(dir.path())[1].clone();
    let mut bytes = fs::read(&last).unwrap();
    bytes[HEADER + 72] ^= 1;
    fs::write(&last, &bytes).unwrap();
    refused(&dir, &last).await;
    // The way out that the text names.
    fs::rename(&last, dir.path().join("aside")).unwrap();
    small(&dir, &store).await;
    assert_eq!(stored(&store).await.len(), 4);
}

#[tokio::test]
async fn no_flipped_bit_outside_the_counters_changes_what_is_read() {
    let (_dir, path) = left_behind().await;
    let good = fs::read(&path).unwrap();
    let rows = format::parse(&path, &good).unwrap();
    for bit in 0..good.len() * 8 {
        let (at, mut bytes) = (bit / 8, good.clone());
        bytes[at] ^= 1 << (bit % 8);
        // Counters of a used cell grow with each call, so no checksum covers them.
        let in_cell = at.checked_sub(HEADER).map(|offset| (offset / 128, offset % 128));
        if in_cell.is_some_and(|(cell, at)| cell < 2 && at < 64) {
            continue;
        }
        // The key of an unused cell may be half-written; nothing depends on it.
        let half_written = in_cell.is_some_and(|(cell, at)| cell >= 2 && (72..104).contains(&at));
        match format::parse(&path, &bytes) {
            Ok(read) => assert!(half_written && read == rows, "bit {bit} of {}", good.len() * 8),
            Err(error) => assert!(!half_written, "{error}"),
        }
    }
}

#[tokio::test]
async fn counters_that_cannot_be_are_refused() {
    let (dir, path) = left_behind().await;
    let good = fs::read(&path).unwrap();
    for (counter, value, reason) in [(1, 2, "more calls ended"), (0, 0, "more calls ended"), (3, u64::MAX, "larger than any")] {
        let (mut bytes, at) = (good.clone(), HEADER + counter * 8);
        bytes[at..at + 8].copy_from_slice(&u64::to_ne_bytes(value));
        fs::write(&path, &bytes).unwrap();
        assert!(refused(&dir, &path).await.contains(reason));
    }
}

#[tokio::test]
async fn a_slot_whose_key_was_not_finished_is_unused() {
    let (dir, path) = left_behind().await;
    let mut bytes = fs::read(&path).unwrap();
    // Killed between the key and the mark: tenant and day are there, the mark is not, nothing has counted yet.
    let key: Vec<u8> = bytes[HEADER + 72..HEADER + 104].to_vec();
    bytes[HEADER + 256 + 72..HEADER + 256 + 104].copy_from_slice(&key);
    fs::write(&path, &bytes).unwrap();
    let store = Memory::default();
    small(&dir, &store).await;
    assert_eq!(stored(&store).await.len(), 2);
}

#[tokio::test]
async fn a_copied_or_renamed_segment_is_not_counted_again() {
    let (dir, path) = left_behind().await;
    let copy = dir.path().join("0000000000000001-00000000.usage");
    fs::copy(&path, &copy).unwrap();
    assert!(refused(&dir, &copy).await.contains("it was written as"));
    fs::remove_file(copy).unwrap();
    // A cell moved to another place does not fit there.
    let mut bytes = fs::read(&path).unwrap();
    bytes.copy_within(HEADER..HEADER + 128, HEADER + 256);
    fs::write(&path, &bytes).unwrap();
    assert!(refused(&dir, &path).await.contains("slot 2"));
}

#[tokio::test]
async fn a_damaged_incarnation_is_refused_and_unfinished_or_strange_files_are_not_in_the_way() {
    let (dir, path) = left_behind().await;
    let number = dir.path().join("incarnation");
    let good = fs::read(&number).unwrap();
    for bad in [&b"12"[..], b"", b"12 00000000\n", b"\xff", &[&good[..], b"1"].concat()] {
        fs::write(&number, bad).unwrap();
        let error = Journal::open(dir.path(), &Memory::default(), NOW).await.err().unwrap().to_string();
        assert!(error.contains(&number.display().to_string()), "{error}");
        assert!(path.exists(), "nothing is folded or deleted");
    }
    fs::write(&number, good).unwrap();
    let unfinished = path.with_extension("usage.new");
    fs::write(&unfinished, b"half").unwrap();
    fs::write(dir.path().join("notes.new"), b"mine").unwrap();
    small(&dir, &Memory::default()).await;
    assert!(!unfinished.exists() && dir.path().join("notes.new").exists());
}
