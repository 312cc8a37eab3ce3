//! Callers that leave, readers beside the writer, and a disk that takes no more.

use std::process::Command;
use std::sync::Arc;

use super::*;
use crate::store::Scan;

fn all(table: Table) -> Scan {
    Scan { table, prefix: String::new(), after: None, newest_first: false, limit: usize::MAX }
}

#[tokio::test]
async fn a_caller_that_leaves_loses_and_halves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Embedded::open(directory.path()).unwrap());
    let tenant = TenantId::new(Millis(1));
    for at in 0..300 {
        // Else the runtime would end the turn of a task that never waits, before the commit is handed over.
        tokio::task::yield_now().await;
        let mut commit = Box::pin(store.commit(commit_named(&format!("{at}"), tenant)));
        // Polled once, it is with the writer; then its caller goes.
        // Asked, and mostly not answered yet.
        let _ = futures_util::poll!(&mut commit);
    }
    let last = store.commit(commit_named("last", tenant)).await.unwrap();
    assert_eq!((last.version.0, last.numbers), (301, vec![301]));
    for table in [Table::Tenants, Table::Slugs, Table::Audit, Table::AuditByTenant] {
        assert_eq!(store.scan(all(table)).await.unwrap().len(), 301, "{table:?}");
    }
}

#[tokio::test]
async fn what_was_asked_before_it_is_closed_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path()).unwrap();
    for at in 0..100 {
        tokio::task::yield_now().await;
        let mut commit = Box::pin(store.commit(commit_named(&format!("{at}"), TenantId::new(Millis(1)))));
        // Asked, and mostly not answered yet.
        let _ = futures_util::poll!(&mut commit);
    }
    drop(store);
    let store = Embedded::open(directory.path()).unwrap();
    assert_eq!(store.scan(all(Table::Tenants)).await.unwrap().len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_whole_commits_only() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Embedded::open(directory.path()).unwrap());
    let writing = tokio::spawn({
        let store = store.clone();
        async move {
            for round in 0..200_u32 {
                let puts = (0..30).map(|at| (Key::new(Table::Settings, format!("{at:02}")), vec![round as u8; 4_500])).collect();
                store.commit(Tx { puts, ..Tx::default() }).await.unwrap();
            }
        }
    });
    let mut seen = std::collections::BTreeSet::new();
    while !writing.is_finished() {
        let records = store.scan(all(Table::Settings)).await.unwrap();
        let Some(first) = records.first() else { continue };
        assert_eq!(records.len(), 30);
        assert!(records.iter().all(|record| record.version == first.version && record.value == first.value));
        assert!(store.version().await.unwrap() >= first.version, "it was not on disk when it was read");
        seen.insert(first.version);
    }
    writing.await.unwrap();
    assert!(seen.len() > 1, "reads and writes did not overlap");
}

#[test]
fn once_a_write_fails_every_later_commit_says_what_to_do_and_nothing_acknowledged_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path(), 1);
    // Files may grow to 3 MiB (sh counts 512 bytes), and the signal that would end the process is ignored.
    let output = Command::new("sh")
        .args(["-c", r#"trap '' XFSZ; ulimit -f 6144; exec "$0" "$@""#])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "store::embedded::tests::callers::child_on_a_full_disk", "--ignored", "--nocapture"])
        .env("STORE_UNDER_TEST", directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let acknowledged: usize = said.lines().filter_map(|line| line.strip_prefix("acknowledged ")).next_back().unwrap().parse().unwrap();
    assert!(acknowledged > 10, "{said}");
    let content = export(&Embedded::open(directory.path()).unwrap()).unwrap();
    for at in 0..=acknowledged {
        let name = format!("full {at}");
        let record = content.records.iter().find(|record| record.key == Key::new(Table::Tenants, name.as_str()));
        assert!(record.is_some_and(|record| record.value == value_of(&name)), "{name} was acknowledged");
    }
}

#[test]
#[ignore = "the process that another test starts"]
fn child_on_a_full_disk() {
    let path = std::env::var("STORE_UNDER_TEST").unwrap();
    let store = Embedded::open(path.as_ref()).unwrap();
    runtime().block_on(async {
        let tenant = TenantId::new(Millis(1));
        let mut failed = None;
        for at in 0..20_000 {
            match store.commit(commit_named(&format!("full {at}"), tenant)).await {
                Ok(_) => println!("acknowledged {at}"),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        for _ in 0..3 {
            let again = store.commit(commit_named("later", tenant)).await;
            assert!(
                matches!(&again, Err(StoreError::Unavailable(text)) if text.contains("not full") && text.contains("restart")),
                "{again:?}"
            );
            assert_eq!(format!("{again:?}"), format!("Err({:?})", failed.as_ref().unwrap()));
        }
        let usage = store.add_usage(vec![crate::store::UsageRow {
            writer: 1,
            tenant,
            day: crate::model::Day(1),
            totals: crate::model::Totals::default(),
        }]);
        assert!(matches!(usage.await, Err(StoreError::Unavailable(_))));
    });
}
