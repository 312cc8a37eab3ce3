//! The audit log: one chain, and whoever changes it is found out.

use super::{Fresh, all, audit_row, key, put};
use crate::model::{AuditId, Millis, TenantId};
use crate::store::{AuditRow, Key, Link, LoggedRow, Precondition, Record, Snapshot, Table, Tx, Version, check_log};

type Make = dyn Fn() -> Fresh + Sync;

pub async fn audit_rows_form_one_chain_without_gaps_whatever_conflicts(fresh: &Make) {
    let store = fresh();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..60_i64 {
        let store = store.store.clone();
        tasks.spawn(async move {
            // Three ask for each key, and their clocks differ.
            let claimed = key(format!("{}", task / 3));
            let row = AuditRow { time: Millis(1_700_000_000_000 - task * 7 % 50), ..audit_row(Some(TenantId::new(Millis(task)))) };
            let audit = vec![row.clone(), AuditRow { tenant_id: None, ..row }];
            let tx = Tx { preconditions: vec![Precondition::Absent(claimed.clone())], audit, ..put(claimed.id, "x") };
            store.commit(tx).await.is_ok()
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|done| *done).count(), 20);
    let checked = check_log(&**store, None).await.unwrap();
    assert_eq!((checked.rows, checked.unchained, checked.head.sequence, &checked.problems), (40, 0, 40, &vec![]));
    let rows: Vec<LoggedRow> = store.scan(all(Table::Audit)).await.unwrap().iter().map(|record| LoggedRow::read(record).unwrap()).collect();
    assert!(rows.iter().enumerate().all(|(at, row)| row.sequence == Some(at as u64 + 1)), "ids sort as sequences do");
    assert!(rows.windows(2).all(|pair| pair[1].previous_hash == pair[0].hash));
    for row in &rows {
        let kept = Link { sequence: row.sequence.unwrap(), hash: row.hash.clone().unwrap() };
        assert!(check_log(&**store, Some(&kept)).await.unwrap().problems.is_empty());
    }
}

pub async fn a_log_of_before_stays_and_the_chain_begins_after_it(fresh: &Make) {
    let (store, tenant) = (fresh(), TenantId::new(Millis(1)));
    let mut old = Vec::new();
    for at in 0..3 {
        let id = AuditId::new(Millis(1_700_000_000_500 + at));
        let value = format!(
            r#"{{"id":"{id}","time":{},"actor":"admin","action":"old","tenantId":"{tenant}","before":null,"after":null,"requestId":null}}"#,
            1_700_000_000_500 + at
        );
        for key in [Key::new(Table::Audit, id.to_string()), Key::new(Table::AuditByTenant, format!("{tenant}/{id}"))] {
            old.push(Record { key, version: Version(1), value: value.clone().into_bytes() });
        }
    }
    store.import(Snapshot { schema: crate::store::SCHEMA, records: old, ..Snapshot::default() }).await.unwrap();
    let empty = check_log(&**store, None).await.unwrap();
    assert_eq!((empty.rows, empty.unchained, empty.head.sequence, &empty.problems), (0, 3, 0, &vec![]));
    // Its clock is behind the newest row.
    store.commit(Tx { audit: vec![audit_row(Some(tenant)), audit_row(None)], ..Tx::default() }).await.unwrap();
    let checked = check_log(&**store, None).await.unwrap();
    assert_eq!((checked.rows, checked.unchained, &checked.problems), (2, 3, &vec![]));
    let sequences = store.scan(all(Table::Audit)).await.unwrap();
    let sequences: Vec<Option<u64>> = sequences.iter().map(|record| LoggedRow::read(record).unwrap().sequence).collect();
    assert_eq!(sequences, [None, None, None, Some(1), Some(2)]);
    assert!(check_log(&**store, Some(&empty.head)).await.unwrap().problems.is_empty(), "of an empty log, too, the head can be kept");
}

pub async fn a_log_that_was_changed_anywhere_is_told_of(fresh: &Make) {
    let (store, tenant) = (fresh(), TenantId::new(Millis(1)));
    for _ in 0..5 {
        store.commit(Tx { audit: vec![audit_row(Some(tenant)), audit_row(None)], ..Tx::default() }).await.unwrap();
    }
    let whole = store.export().await.unwrap();
    let head = check_log(&**store, None).await.unwrap().head;
    let problems = async |change: &dyn Fn(&mut Vec<Record>)| {
        let (mut snapshot, store) = (whole.clone(), fresh());
        change(&mut snapshot.records);
        store.import(snapshot).await.unwrap();
        check_log(&**store, Some(&head)).await.unwrap().problems
    };
    assert_eq!(problems(&|_| ()).await, [""; 0]);
    let at = |records: &[Record], table: Table, nth: usize| {
        records.iter().enumerate().filter(|(_, record)| record.key.table == table).nth(nth).map(|(at, _)| at).unwrap()
    };
    for nth in 0..10 {
        let dropped = problems(&|records| drop(records.remove(at(records, Table::Audit, nth)))).await;
        assert!(dropped.iter().any(|it| it.contains("is missing") || it.contains("ends with row 9")), "{nth}: {dropped:?}");
        let edited = problems(&|records| {
            let row = at(records, Table::Audit, nth);
            let text = String::from_utf8(records[row].value.clone()).unwrap();
            records[row].value = text.replace("\"admin\"", "\"Admin\"").into_bytes();
        })
        .await;
        assert!(edited.iter().any(|it| it.contains(&format!("row {} ", nth + 1)) && it.ends_with("was changed")));
    }
    let swapped = problems(&|records| {
        let (one, two) = (at(records, Table::Audit, 2), at(records, Table::Audit, 3));
        let value = records[one].value.clone();
        records[one].value = std::mem::replace(&mut records[two].value, value);
    })
    .await;
    assert!(!swapped.is_empty());
    let unnamed = problems(&|records| drop(records.remove(at(records, Table::AuditByTenant, 1)))).await;
    assert!(unnamed[0].contains("is not among the rows of its tenant"), "{unnamed:?}");
    let surplus = problems(&|records| {
        let mut more = records[at(records, Table::AuditByTenant, 1)].clone();
        more.key.id = more.key.id.replace(&tenant.to_string(), &TenantId::new(Millis(7)).to_string());
        records.push(more);
    })
    .await;
    assert_eq!(surplus, ["1 entries of tenants belong to no row"]);
    let instead = problems(&|records| {
        let entry = at(records, Table::AuditByTenant, 1);
        records[entry].value = b"{}".to_vec();
    })
    .await;
    assert!(instead.iter().any(|it| it.contains("is another among the rows of its tenant")), "{instead:?}");
    let headless = problems(&|records| drop(records.remove(at(records, Table::AuditHead, 0)))).await;
    assert!(headless.iter().any(|it| it.contains("the head of the log does not know of it")), "{headless:?}");
    // Whoever writes the end anew as the store does is found out by what was kept elsewhere.
    let forged = fresh();
    for _ in 0..6 {
        forged.commit(Tx { audit: vec![AuditRow { actor: "forger".to_owned(), ..audit_row(None) }; 2], ..Tx::default() }).await.unwrap();
    }
    assert!(check_log(&**forged, None).await.unwrap().problems.is_empty());
    let found = check_log(&**forged, Some(&head)).await.unwrap().problems;
    assert_eq!(found, ["row 10 is not there as it was when its hash was kept"]);
}
