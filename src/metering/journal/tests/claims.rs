//! Slots: one for each tenant and day, as many as there is room for.

use std::sync::Barrier;
use std::thread;

use futures_util::FutureExt;

use super::*;

#[tokio::test]
async fn threads_that_claim_the_same_slots_at_once_count_in_one_each() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = Journal::open_with(dir.path(), &store, NOW, 512).await.unwrap();
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                (0..1_000).for_each(|number| call(&journal.slot(tenant(number), TODAY).unwrap(), 1));
            });
        }
    });
    let rows = journal.rows();
    assert_eq!(rows.len(), 1_000, "of 1,024: no slot was claimed twice");
    assert!(rows.iter().all(|row| row.totals == calls(4, 4)));
}

#[tokio::test]
async fn a_spare_that_begins_asks_for_another_which_is_there_before_it_is_full() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    let is_wanted = || journal.wants_room().now_or_never().is_some();
    let claim = |tenants: std::ops::Range<u32>| tenants.for_each(|number| call(&journal.slot(tenant(number), TODAY).unwrap(), 1));
    claim(0..1);
    assert!(is_wanted(), "the first has begun");
    claim(1..4);
    assert!(!is_wanted());
    for begun in (4..400).step_by(4) {
        claim(begun..begun + 1);
        assert!(is_wanted(), "{begun}");
        journal.provide(TODAY).unwrap();
        claim(begun + 1..begun + 4);
    }
    assert_eq!(journal.rows().len(), 400);
}

#[tokio::test]
async fn without_room_a_new_tenant_is_refused_and_known_ones_go_on() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    for number in 0..8 {
        call(&journal.slot(tenant(number), TODAY).unwrap(), 1);
    }
    assert_eq!(journal.slot(tenant(8), TODAY).unwrap_err(), SlotUnavailable);
    call(&journal.slot(tenant(7), TODAY).unwrap(), 1);
    assert_eq!(journal.totals(tenant(7), TODAY), Some(calls(2, 2)));
    assert_eq!(journal.totals(tenant(8), TODAY), None);
    journal.maintain(TODAY).unwrap();
    call(&journal.slot(tenant(8), TODAY).unwrap(), 1);
    assert_eq!(journal.rows().len(), 9);
}

#[tokio::test]
async fn upkeep_keeps_a_spare_and_room_for_tomorrow_whatever_today_takes() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    assert_eq!(segments(dir.path()).len(), 2);
    let mut known = 0;
    for _ in 0..25 {
        // When a whole segment's worth of tenants comes between two upkeeps …
        (0..4).for_each(|number| call(&journal.slot(tenant(known + number), TODAY).unwrap(), 1));
        known += 4;
        journal.maintain(TODAY).unwrap();
    }
    // … then today has its 25, tomorrow has as many ahead, and there is a spare.
    assert_eq!(segments(dir.path()).len(), 51);
    (0..known).for_each(|number| call(&journal.slot(tenant(number), TODAY.next()).unwrap(), 1));
    (0..4).for_each(|number| call(&journal.slot(tenant(known + number), TODAY.next()).unwrap(), 1));
    assert!(journal.slot(tenant(known + 4), TODAY.next()).is_err());
    journal.maintain(TODAY).unwrap();
    assert_eq!(segments(dir.path()).len(), 53, "tomorrow has begun; nobody needs as many twice");
    assert_eq!(journal.rows().len(), 204);
}

#[tokio::test]
async fn ten_thousand_tenants_have_slots_at_once_after_a_restart() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = Journal::open_with(dir.path(), &store, NOW, 512).await.unwrap();
    for number in 0..10_000 {
        let slot = journal.slot(tenant(number), TODAY).or_else(|_| {
            journal.maintain(TODAY).unwrap();
            journal.slot(tenant(number), TODAY)
        });
        call(&slot.unwrap(), u64::from(number));
    }
    assert_eq!(fold(&journal, &store).await.unwrap().len(), 10_000);
    drop(journal);
    let journal = Journal::open_with(dir.path(), &store, NOW, 512).await.unwrap();
    for number in 0..10_000 {
        call(&journal.slot(tenant(number), TODAY).unwrap(), 1);
    }
    fold(&journal, &store).await.unwrap();
    assert_eq!(sum(&store, tenant(9_999)).await, calls(2, 10_000));
    assert_eq!(stored(&store).await.len(), 20_000);
}

#[tokio::test]
async fn days_are_kept_apart_while_there_is_room_and_share_a_segment_when_there_is_none() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    // A clock that jumps from day to day between two upkeeps still finds every slot there is.
    for later in 0..8 {
        call(&journal.slot(tenant(1), Day(TODAY.0 + later)).unwrap(), 1);
    }
    assert!(journal.slot(tenant(1), Day(TODAY.0 + 8)).is_err());
    let days: Vec<i32> = journal.rows().iter().map(|row| row.day.0 - TODAY.0).collect();
    assert_eq!(days, [0, 2, 3, 4, 1, 5, 6, 7]);
}

#[tokio::test]
async fn a_directory_stays_locked_until_the_last_slot_is_dropped() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    let slot = journal.slot(tenant(1), TODAY).unwrap();
    assert!(matches!(Journal::open(dir.path(), &store, NOW).await, Err(JournalError::Locked { .. })));
    drop(journal);
    call(&slot, 5);
    assert!(matches!(Journal::open(dir.path(), &store, NOW).await, Err(JournalError::Locked { .. })));
    drop(slot);
    small(&dir, &store).await;
    assert_eq!(sum(&store, tenant(1)).await, calls(1, 5));
}
