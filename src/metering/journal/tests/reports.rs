//! Reports: each is in the store once, whatever fails between the log and it.

use super::*;
use crate::metering::{Report, ReportKey, What, count_active_users, fold_reports, kept_report, stored_levels};
use crate::model::Gauge;

fn level(number: u32, level: u64) -> Report {
    Report { tenant: tenant(number), time: NOW, what: What::Level(Gauge::Storage, level, 0), key: None }
}

fn user(number: u32, user: u8) -> Report {
    Report { tenant: tenant(number), time: NOW, what: What::ActiveUser([user; 16]), key: None }
}

async fn storage(store: &dyn Store, number: u32) -> (u64, u64) {
    let record = stored_levels(store, tenant(number)).await.unwrap().unwrap();
    (record.now.storage, record.peak.storage)
}

async fn users(store: &dyn Store, number: u32) -> u64 {
    count_active_users(store, NOW.day().month(), tenant(number)).await.unwrap()
}

fn logs(dir: &TempDir) -> usize {
    let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".reports")).count()
}

#[tokio::test]
async fn the_newest_level_counts_the_peak_stays_and_full_files_go() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    for round in 0..20 {
        for step in [5, 90 + round, 7 + round] {
            journal.report(&level(1, step)).unwrap();
        }
        journal.report(&user(1, round as u8)).unwrap();
        journal.maintain(TODAY).unwrap();
        fold_reports(&journal, &store).await.unwrap();
        assert_eq!((storage(&store, 1).await, users(&store, 1).await), ((7 + round, 90 + round), round + 1));
        assert!(logs(&dir) <= 3, "{}", logs(&dir));
    }
    assert_eq!(journal.take_reported(), [tenant(1)]);
    assert_eq!(journal.take_reported(), []);
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_not_made_twice() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Flaky::after(100));
    let journal = Journal::open_with(dir.path(), &store, NOW, 64).await.unwrap();
    let key = ReportKey { key: [3; 16], body: [4; 16] };
    for number in 0..3 {
        journal.report(&user(1, number)).unwrap();
    }
    journal.report(&Report { key: Some(key), ..level(1, 10) }).unwrap();
    store.lies.store(1, Ordering::SeqCst);
    assert!(fold_reports(&journal, &store).await.is_err());
    assert_eq!(journal.waiting_report(&key.key), Some(key.body), "nobody knows yet that it was taken");
    journal.report(&user(1, 9)).unwrap();
    journal.report(&level(1, 4)).unwrap();
    fold_reports(&journal, &store).await.unwrap();
    assert_eq!((users(&store, 1).await, storage(&store, 1).await), (4, (4, 10)));
    assert_eq!(journal.waiting_report(&key.key), None);
    let kept = kept_report(&store, tenant(1), &key).await.unwrap().unwrap();
    assert_eq!((kept.level, kept.body), (Some(10), key.body_text()));
}

#[tokio::test]
async fn what_a_stopped_process_left_is_taken_once_however_often_the_start_fails() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Flaky::after(100));
    let journal = Journal::open_with(dir.path(), &store, NOW, 512).await.unwrap();
    for number in 0..=255 {
        journal.report(&user(1, number)).unwrap();
    }
    fold_reports(&journal, &store).await.unwrap();
    for number in 0..=255 {
        journal.report(&user(2, number)).unwrap();
        journal.report(&level(2, u64::from(number))).unwrap();
    }
    drop(journal);
    // The first of two commits is made, and its answer lost; then the start fails; then it fails before the second one.
    store.lies.store(1, Ordering::SeqCst);
    assert!(Journal::open_with(dir.path(), &store, NOW, 512).await.is_err());
    store.allow(0);
    assert!(Journal::open_with(dir.path(), &store, NOW, 512).await.is_err());
    store.allow(100);
    Journal::open_with(dir.path(), &store, NOW, 512).await.unwrap();
    assert_eq!((users(&store, 1).await, users(&store, 2).await, storage(&store, 2).await), (256, 256, (255, 255)));
}

#[tokio::test]
async fn a_log_that_was_set_aside_and_comes_back_changes_no_newer_level() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    journal.report(&level(1, 5)).unwrap();
    fold_reports(&journal, &store).await.unwrap();
    journal.report(&user(1, 1)).unwrap();
    journal.report(&level(1, 50)).unwrap();
    drop(journal);
    let aside = tempfile::tempdir().unwrap();
    let move_all = |from: &TempDir, to: &TempDir| {
        for entry in std::fs::read_dir(from.path()).unwrap().map(Result::unwrap) {
            if entry.file_name().to_string_lossy().ends_with(".reports") {
                std::fs::rename(entry.path(), to.path().join(entry.file_name())).unwrap();
            }
        }
    };
    move_all(&dir, &aside);
    let journal = small(&dir, &store).await;
    journal.report(&level(1, 7)).unwrap();
    fold_reports(&journal, &store).await.unwrap();
    drop(journal);
    move_all(&aside, &dir);
    small(&dir, &store).await;
    assert_eq!((storage(&store, 1).await, users(&store, 1).await), ((7, 7), 1), "the user counts, the level is over");
}

#[tokio::test]
async fn a_report_that_was_not_finished_is_none_and_a_changed_one_is_damage() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    journal.report(&level(1, 5)).unwrap();
    journal.report(&level(1, 6)).unwrap();
    drop(journal);
    let file = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let file = file.filter(|path| path.extension().is_some_and(|kind| kind == "reports")).min().unwrap();
    let good = std::fs::read(&file).unwrap();
    for bit in 0..128 * 8 {
        let (at, mut bytes) = (4_096 + 128 + bit / 8, good.clone());
        bytes[at] ^= 1 << (bit % 8);
        std::fs::write(&file, &bytes).unwrap();
        let error = Journal::open_with(dir.path(), &Memory::default(), NOW, 4).await.err().unwrap().to_string();
        assert!(error.contains("report 1") && error.contains("move"), "bit {bit}: {error}");
    }
    // Killed before its mark was written.
    let mut bytes = good;
    bytes[4_096 + 128..4_096 + 136].fill(0);
    std::fs::write(&file, &bytes).unwrap();
    small(&dir, &store).await;
    assert_eq!(storage(&store, 1).await, (5, 5));
}
