//! Retirement: a segment goes when its days are over, its values stored and its handles gone; no add is ever lost.

use std::thread;

use super::*;

const DAY_AFTER: Day = TODAY.next().next();

#[tokio::test]
async fn a_segment_goes_only_when_its_day_is_over_its_values_stored_and_its_handles_gone() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    let slot = journal.slot(tenant(1), TODAY).unwrap();
    call(&slot, 1);
    let file = segments(dir.path())[0].clone();
    let retired = |today| {
        journal.maintain(today).unwrap();
        !file.exists()
    };
    fold(&journal, &store).await.unwrap();
    assert!(!retired(TODAY) && !retired(TODAY.next()), "a handle, and the day is hardly over");
    assert!(!retired(DAY_AFTER), "a handle is held");
    // A download of yesterday's goes on.
    slot.add_egress(1_000);
    drop(slot);
    assert!(!retired(DAY_AFTER), "the last octets are not stored");
    fold(&journal, &store).await.unwrap();
    assert!(!retired(TODAY.next()), "its day is over since less than a day");
    assert!(retired(DAY_AFTER));
    assert_eq!(sum(&store, tenant(1)).await, calls(1, 1_001));
    assert_eq!((journal.totals(tenant(1), TODAY), journal.rows().len()), (None, 0));
    assert_eq!(fold(&journal, &store).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_day_whose_slots_were_retired_gets_no_second_slot_that_would_begin_at_zero() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    call(&journal.slot(tenant(1), TODAY).unwrap(), 1);
    settle(&journal, &store, DAY_AFTER).await;
    assert_eq!(journal.slot(tenant(1), TODAY).unwrap_err(), SlotUnavailable);
    assert!(journal.slot(tenant(1), TODAY.next()).is_ok() && journal.slot(tenant(1), DAY_AFTER).is_ok());
}

#[tokio::test]
async fn a_slot_with_a_call_that_never_ended_waits_for_the_next_start() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    admit(&journal.slot(tenant(1), TODAY).unwrap());
    call(&journal.slot(tenant(2), TODAY).unwrap(), 1);
    settle(&journal, &store, DAY_AFTER).await;
    assert_eq!((journal.totals(tenant(1), TODAY).unwrap().admitted, journal.totals(tenant(2), TODAY)), (1, None));
    drop(journal);
    small(&dir, &store).await;
    assert_eq!(sum(&store, tenant(1)).await, Totals { admitted: 1, aborted: 1, ..Totals::default() });
    assert_eq!(sum(&store, tenant(2)).await, calls(1, 1));
}

#[tokio::test]
async fn weeks_of_days_leave_no_pile_of_files() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    for later in 0..50 {
        let today = Day(TODAY.0 + later);
        (0..3).for_each(|number| call(&journal.slot(tenant(number), today).unwrap(), 1));
        fold(&journal, &store).await.unwrap();
        journal.maintain(today).unwrap();
        assert!(segments(dir.path()).len() <= 6);
    }
    assert_eq!(journal.slots.len(), 9, "the map forgets them too");
    assert_eq!(sum(&store, tenant(2)).await, calls(50, 50));
}

/// Counts for a day that is over, through handles kept and handles asked for anew, while others fold and retire.
#[test]
fn no_add_is_lost_between_the_last_fold_and_the_retirement() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for round in 0..30 {
        let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
        let journal = runtime.block_on(small(&dir, &store));
        let kept = journal.slot(tenant(1), TODAY).unwrap();
        call(&journal.slot(tenant(2), TODAY).unwrap(), 1);
        let file = segments(dir.path())[0].clone();
        let (through_kept, through_new) = thread::scope(|scope| {
            let long_download = scope.spawn(move || {
                (0..round * 40).for_each(|_| call(&kept, 1));
                round * 40
            });
            let late_calls = scope.spawn(|| {
                let mut counted = 1;
                while let Ok(slot) = journal.slot(tenant(2), TODAY) {
                    // All of it may be stored now, but the handle is held …
                    (0..counted % 64).for_each(|_| thread::yield_now());
                    call(&slot, 1);
                    counted += 1;
                    drop(slot);
                    // … and here it is not, but the last call may not be stored.
                    (0..counted % 64).for_each(|_| std::hint::spin_loop());
                    if counted > 1_000 {
                        break;
                    }
                }
                counted
            });
            while file.exists() {
                runtime.block_on(fold(&journal, &store)).unwrap();
                journal.maintain(DAY_AFTER).unwrap();
            }
            (long_download.join().unwrap(), late_calls.join().unwrap())
        });
        assert_eq!(runtime.block_on(sum(&store, tenant(1))), calls(through_kept, through_kept));
        assert_eq!(runtime.block_on(sum(&store, tenant(2))), calls(through_new, through_new));
    }
}

#[tokio::test]
async fn a_page_that_is_written_while_its_day_ends_stands_for_no_row() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    call(&journal.slot(tenant(1), TODAY).unwrap(), 10);
    // A fold has begun, the upkeep finds the day over, and the fold ends.
    let begun = journal.changes();
    journal.maintain(DAY_AFTER).unwrap();
    for page in &begun.pages {
        store.commit(Tx { puts: vec![page.what.record()], ..Tx::default() }).await.unwrap();
        page.acknowledge();
    }
    journal.maintain(DAY_AFTER).unwrap();
    assert!(journal.totals(tenant(1), TODAY).is_some(), "there is no row yet");
    settle(&journal, &store, DAY_AFTER).await;
    assert_eq!(journal.totals(tenant(1), TODAY), None);
    assert_eq!(store.export().await.unwrap().usage.len(), 1);
    assert_eq!(sum(&store, tenant(1)).await, calls(1, 10));
}
