//! Counting, folding and starting again.

use super::*;

#[tokio::test]
async fn what_is_counted_is_read_at_once_and_folded_once() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    let slot = journal.slot(tenant(1), TODAY).unwrap();
    (0..3).for_each(|_| call(&slot, 100));
    admit(&slot);
    slot.give_back();
    admit(&slot);
    slot.add_ingress(7);
    slot.add_rejected();
    let expected = Totals { admitted: 5, metered: 3, given_back: 1, egress: 300, ingress: 7, rejected: 1, ..Totals::default() };
    let row = UsageRow { writer: journal.incarnation(), tenant: tenant(1), day: TODAY, totals: expected };
    assert_eq!((journal.totals(tenant(1), TODAY), journal.rows()), (Some(expected), vec![row]));
    assert_eq!((slot.egress(), slot.day(), slot.clone().totals()), (300, TODAY, expected));
    assert_eq!(journal.totals(tenant(2), TODAY), None);

    assert_eq!(fold(&journal, &store).await.unwrap().len(), 1);
    assert_eq!(fold(&journal, &store).await.unwrap().len(), 0, "nothing changed since");
    assert_eq!(stored(&store).await, [row]);
    slot.add_metered();
    assert_eq!(fold(&journal, &store).await.unwrap().len(), 1);
    assert_eq!(sum(&store, tenant(1)).await, Totals { metered: 4, ..expected }, "cumulative, not added");
}

#[tokio::test]
async fn a_fold_that_fails_half_way_loses_nothing_and_the_next_one_writes_the_rest() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Flaky::after(1));
    let journal = Journal::open_with(dir.path(), &store, NOW, 4_096).await.unwrap();
    for number in 0..2_500 {
        call(&journal.slot(tenant(number), TODAY).unwrap(), u64::from(number));
    }
    assert!(matches!(fold(&journal, &store).await, Err(StoreError::Unavailable(_))));
    assert_eq!(stored(&store).await.len(), 1_024, "32 pages of 32 slots");
    assert!(fold(&journal, &store).await.is_err());
    call(&journal.slot(tenant(0), TODAY).unwrap(), 1);
    store.allow(2);
    assert_eq!(fold(&journal, &store).await.unwrap().len(), 1_477, "1,476 that failed and one that changed since");
    assert_eq!(stored(&store).await.len(), 2_500);
    assert_eq!(sum(&store, tenant(0)).await, calls(2, 1));
    assert_eq!(sum(&store, tenant(2_499)).await, calls(1, 2_499));
}

#[tokio::test]
async fn what_a_stopped_process_left_is_booked_under_its_own_incarnation_and_its_calls_in_flight_as_aborted() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let first = small(&dir, &store).await;
    let slot = first.slot(tenant(1), TODAY).unwrap();
    (0..5).for_each(|_| call(&slot, 10));
    admit(&slot);
    slot.give_back();
    (0..2).for_each(|_| admit(&slot));
    first.slot(tenant(2), TODAY).unwrap();
    fold(&first, &store).await.unwrap();
    call(&slot, 10);
    let earlier = first.incarnation();
    drop((first, slot));

    let second = small(&dir, &store).await;
    assert!(second.incarnation() > earlier);
    let totals = Totals { admitted: 9, metered: 6, given_back: 1, aborted: 2, egress: 60, ..Totals::default() };
    let rows = stored(&store).await;
    assert!(rows.contains(&UsageRow { writer: earlier, tenant: tenant(1), day: TODAY, totals }), "{rows:?}");
    assert_eq!(second.totals(tenant(1), TODAY), None, "a new incarnation begins at zero");
    assert!(second.rows().is_empty());

    call(&second.slot(tenant(1), TODAY).unwrap(), 1);
    fold(&second, &store).await.unwrap();
    assert_eq!(sum(&store, tenant(1)).await, Totals { admitted: 10, metered: 7, egress: 61, ..totals });
}

#[tokio::test]
async fn a_store_that_fails_at_the_start_leaves_every_file_for_the_next_start() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Flaky::after(0));
    let journal = small(&dir, &store).await;
    for number in 0..8 {
        call(&journal.slot(tenant(number), TODAY).unwrap(), 1);
    }
    drop(journal);
    let files = segments(dir.path());
    assert!(matches!(Journal::open(dir.path(), &store, NOW).await, Err(JournalError::Store(_))));
    assert_eq!(segments(dir.path()), files);
    store.allow(1);
    small(&dir, &store).await;
    assert_eq!(stored(&store).await.len(), 8);
    assert!(segments(dir.path()).iter().all(|file| !files.contains(file)));
}

#[tokio::test]
async fn incarnations_grow_though_the_clock_stands_still_or_goes_back() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let mut last = 0;
    for started in [NOW, NOW, Millis(0), Millis(-1), NOW, Millis(i64::MAX), NOW] {
        let incarnation = Journal::open_with(dir.path(), &store, started, 4).await.unwrap().incarnation();
        assert!(incarnation > last && i64::try_from(incarnation).is_ok());
        last = incarnation;
    }
    // Without the file, the segments say what there was.
    std::fs::remove_file(dir.path().join("incarnation")).unwrap();
    assert!(small(&dir, &store).await.incarnation() > last);
    // Elsewhere in the same millisecond, another number.
    let other = tempfile::tempdir().unwrap();
    let here = small(&tempfile::tempdir().unwrap(), &store).await.incarnation();
    assert_eq!(here >> 20, NOW.0 as u64);
    assert!(std::iter::repeat_with(|| super::super::incarnation::begin(other.path(), 0, NOW).unwrap()).take(3).all(|n| n != here));
}

#[test]
fn rows_read_while_others_count_never_show_more_ended_than_admitted() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = runtime.block_on(small(&dir, &store));
    let slot = journal.slot(tenant(1), TODAY).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for round in 0..100_000 {
                    admit(&slot);
                    if round % 2 == 0 {
                        let _ = slot.add_metered();
                    } else {
                        slot.give_back()
                    }
                }
            });
        }
        let mut seen = Totals::default();
        while seen.admitted < 200_000 {
            let now = journal.rows()[0].totals;
            assert!(now.admitted >= now.metered + now.given_back, "{now:?}");
            assert!(now.admitted >= seen.admitted && now.metered >= seen.metered);
            seen = now;
        }
    });
    assert_eq!(slot.totals(), Totals { admitted: 200_000, metered: 100_000, given_back: 100_000, ..Totals::default() });
}

#[tokio::test]
async fn a_lost_journal_loses_only_what_came_after_the_last_fold() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = Journal::open_with(dir.path(), &store, NOW, 64).await.unwrap();
    for number in 0..40 {
        call(&journal.slot(tenant(number), TODAY).unwrap(), 10);
    }
    admit(&journal.slot(tenant(1), TODAY).unwrap());
    fold(&journal, &store).await.unwrap();
    call(&journal.slot(tenant(2), TODAY).unwrap(), 10);
    drop(journal);
    let elsewhere = tempfile::tempdir().unwrap();
    let journal = Journal::open_with(elsewhere.path(), &store, NOW, 64).await.unwrap();
    let snapshot = store.export().await.unwrap();
    assert_eq!(snapshot.usage.len(), 40, "they are rows now");
    assert!(snapshot.records.iter().all(|record| record.key.table != Table::UsagePages), "and no pages");
    assert_eq!(sum(&store, tenant(1)).await, Totals { admitted: 2, aborted: 1, ..calls(1, 10) });
    assert_eq!(sum(&store, tenant(2)).await, calls(1, 10));
    // Found again, the old journal says the rest; nothing is counted twice.
    drop(journal);
    Journal::open_with(dir.path(), &store, NOW, 64).await.unwrap();
    assert_eq!(sum(&store, tenant(2)).await, calls(2, 20));
    assert_eq!(sum(&store, tenant(3)).await, calls(1, 10));
}

#[tokio::test]
async fn a_retired_segment_leaves_rows_and_no_pages() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    call(&journal.slot(tenant(1), TODAY).unwrap(), 10);
    fold(&journal, &store).await.unwrap();
    assert_eq!(store.export().await.unwrap().usage, [], "while the day goes on there are pages only");
    settle(&journal, &store, Day(TODAY.0 + 2)).await;
    fold(&journal, &store).await.unwrap();
    let snapshot = store.export().await.unwrap();
    assert_eq!((snapshot.usage.len(), snapshot.records.len()), (1, 0));
    assert_eq!(sum(&store, tenant(1)).await, calls(1, 10));
}

#[tokio::test]
async fn after_a_power_failure_the_newer_of_journal_and_store_counts() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Memory::default());
    let journal = small(&dir, &store).await;
    let slot = journal.slot(tenant(1), TODAY).unwrap();
    call(&slot, 10);
    admit(&slot);
    // What the disk has of the file when the power goes.
    let file = segments(dir.path())[0].clone();
    let on_disk = std::fs::read(&file).unwrap();
    slot.add_metered();
    call(&slot, 30);
    fold(&journal, &store).await.unwrap();
    drop((journal, slot));
    std::fs::write(&file, on_disk).unwrap();
    small(&dir, &store).await;
    assert_eq!(sum(&store, tenant(1)).await, Totals { admitted: 3, metered: 3, egress: 40, ..Totals::default() });
}
