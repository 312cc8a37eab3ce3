//! Scans, changes, backups.

use super::{Fresh, all, audit_row, ids, key, put};
use crate::model::{Day, Millis, TenantId, Totals};
use crate::store::{Draw, KEPT_CHANGES, Key, Record, Scan, Snapshot, StoreError, Table, Tx, UsageRow, Version};

pub async fn scans_go_through_a_table_in_the_order_of_ids(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let mut names = ["b", "a", "a/b", "a b", "ab", "Z", "0", "~", "a/", "a~"];
    for (at, name) in names.iter().enumerate() {
        // Parts of large records must not show up as records.
        store.commit(put(*name, vec![0; at * 1_000])).await.unwrap();
        store.commit(Tx { puts: vec![(Key::new(Table::Slugs, *name), vec![])], ..Tx::default() }).await.unwrap();
    }
    names.sort_unstable();
    assert_eq!(ids(&store, all(Table::Settings)).await, names);
    names.reverse();
    assert_eq!(ids(&store, Scan { newest_first: true, ..all(Table::Settings) }).await, names);
    assert_eq!(ids(&store, all(Table::Domains)).await, Vec::<String>::new());
}

pub async fn many_records_are_read_at_once_in_the_order_asked_for(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    for at in 0..20_u8 {
        store.commit(put(format!("{at:02}"), vec![at; usize::from(at) * 1_000])).await.unwrap();
    }
    let keys: Vec<Key> = ["07", "none", "19", "00", "07"].map(key).to_vec();
    let found = store.get_all(&keys).await.unwrap();
    for (key, found) in keys.iter().zip(&found) {
        assert_eq!(*found, store.get(key).await.unwrap());
    }
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true, true, true]);
    assert!(store.get_all(&[]).await.unwrap().is_empty());
}

pub async fn pages_join_without_gap_or_overlap_in_both_directions(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let puts = (0..50).map(|at| (key(format!("{at:02}")), vec![])).collect();
    store.commit(Tx { puts, ..Tx::default() }).await.unwrap();
    for newest_first in [false, true] {
        for limit in [1, 7, 50, 60] {
            let (mut joined, mut after) = (Vec::new(), None);
            loop {
                let page = ids(&store, Scan { after, newest_first, limit, ..all(Table::Settings) }).await;
                assert!(page.len() <= limit);
                after = page.last().cloned();
                joined.extend(page);
                if after.is_none() {
                    break;
                }
            }
            let mut expected: Vec<String> = (0..50).map(|at| format!("{at:02}")).collect();
            if newest_first {
                expected.reverse();
            }
            assert_eq!(joined, expected);
        }
    }
    assert_eq!(ids(&store, Scan { limit: 0, ..all(Table::Settings) }).await, Vec::<String>::new());
}

pub async fn a_scan_with_a_prefix_stays_within_it(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let puts = ["a", "b", "b/1", "b/2", "b/3", "b0", "c"].map(|id| (key(id), vec![]));
    store.commit(Tx { puts: puts.to_vec(), ..Tx::default() }).await.unwrap();
    let page = |prefix: &str, after: Option<&str>, newest_first| Scan {
        prefix: prefix.to_owned(),
        after: after.map(str::to_owned),
        newest_first,
        limit: 9,
        ..all(Table::Settings)
    };
    let none: [&str; 0] = [];
    assert_eq!(ids(&store, page("b/", None, false)).await, ["b/1", "b/2", "b/3"]);
    assert_eq!(ids(&store, page("b/", None, true)).await, ["b/3", "b/2", "b/1"]);
    assert_eq!(ids(&store, page("b/", Some("b/1"), false)).await, ["b/2", "b/3"]);
    assert_eq!(ids(&store, page("b/", Some("b/3"), true)).await, ["b/2", "b/1"]);
    // A cursor need not exist, nor lie within the prefix.
    assert_eq!(ids(&store, page("b/", Some("b/15"), false)).await, ["b/2", "b/3"]);
    assert_eq!(ids(&store, page("b/", Some("a"), false)).await, ["b/1", "b/2", "b/3"]);
    assert_eq!(ids(&store, page("b/", Some("c"), false)).await, none);
    assert_eq!(ids(&store, page("b/", Some("c"), true)).await, ["b/3", "b/2", "b/1"]);
    assert_eq!(ids(&store, page("b/", Some("a"), true)).await, none);
    assert_eq!(ids(&store, page("~", Some("ü"), true)).await, none);
    assert_eq!(ids(&store, page("", Some("b0"), false)).await, ["c"]);
}

pub async fn changes_tell_whole_commits_in_order(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let first = store.commit(put("a", "1")).await.unwrap().version;
    let tx = Tx { deletes: vec![key("a")], puts: vec![(key("b"), vec![]), (key("c"), vec![])], ..Tx::default() };
    let second = store.commit(tx).await.unwrap().version;
    let third = store.commit(Tx { audit: vec![audit_row(None)], ..Tx::default() }).await.unwrap().version;
    let told = |changes: Vec<crate::store::Changed>| changes.into_iter().map(|change| (change.version, change.key.id)).collect::<Vec<_>>();
    let named = |version: Version, ids: &[&str]| ids.iter().map(|id| (version, (*id).to_owned())).collect::<Vec<_>>();
    let everything = told(store.changes(Version(0), 100).await.unwrap());
    // Rows of the audit log are read, and followed by nobody.
    assert_eq!(everything, [named(first, &["a"]), named(second, &["a", "b", "c"])].concat());
    assert!(third > second);
    // A page ends between commits; one that is larger than the page comes whole.
    assert_eq!(told(store.changes(Version(0), 3).await.unwrap()), named(first, &["a"]));
    assert_eq!(told(store.changes(first, 1).await.unwrap()), named(second, &["a", "b", "c"]));
    assert_eq!(told(store.changes(first, 3).await.unwrap()), named(second, &["a", "b", "c"]));
    assert_eq!(store.changes(third, 9).await.unwrap(), []);
    assert_eq!(store.changes(Version(u64::MAX), 9).await.unwrap(), []);
    assert_eq!(store.changes(Version(0), 0).await.unwrap(), []);
}

pub async fn the_last_ten_thousand_changes_are_kept(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    for round in 0..12 {
        let puts = (0..1_000).map(|at| (key(format!("{at}")), vec![round])).collect();
        store.commit(Tx { puts, ..Tx::default() }).await.unwrap();
    }
    let kept = store.changes(Version(0), usize::MAX).await.unwrap();
    assert_eq!(kept.len(), KEPT_CHANGES);
    assert_eq!(kept.first().unwrap().version, Version(3));
    assert_eq!(kept.last().unwrap().version, Version(12));
}

/// A store with something of everything.
async fn filled(fresh: &(dyn Fn() -> Fresh + Sync)) -> (Fresh, Snapshot) {
    let store = fresh();
    let tenant = TenantId::new(Millis(1));
    for round in 0..20_usize {
        let tx = Tx {
            numbers: vec!["invoice".into(), Draw::of(format!("of {round}"))],
            audit: vec![audit_row(Some(tenant)), audit_row(None)],
            ..put(format!("{round}"), vec![7; round * 2_000])
        };
        store.commit(tx).await.unwrap();
    }
    let totals = Totals { admitted: 5, rejected: 1, ..Totals::default() };
    let rows = (0..700).map(|day| UsageRow { writer: 1, tenant, day: Day(day), totals }).collect();
    store.add_usage(rows).await.unwrap();
    let snapshot = store.export().await.unwrap();
    assert_eq!((snapshot.records.len(), snapshot.usage.len(), snapshot.numbers.len()), (81, 700, 21));
    (store, snapshot)
}

pub async fn an_export_fills_an_empty_store_with_the_same(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let (_, snapshot) = filled(fresh).await;
    let json = serde_json::to_vec(&snapshot).unwrap();
    let store = fresh();
    store.import(serde_json::from_slice(&json).unwrap()).await.unwrap();
    assert!(store.export().await.unwrap() == snapshot);
    for record in &snapshot.records {
        assert!(store.get(&record.key).await.unwrap().as_ref() == Some(record));
    }
}

pub async fn numbers_and_versions_go_on_after_an_import(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let (old, snapshot) = filled(fresh).await;
    let store = fresh();
    store.import(snapshot).await.unwrap();
    let next = store.commit(Tx { numbers: vec!["invoice".into(), "new".into()], ..put("next", "1") }).await.unwrap();
    assert_eq!(next.numbers, [21, 1]);
    assert!(next.version > old.version().await.unwrap());
}

pub async fn an_import_into_a_store_with_data_is_refused(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let (_, snapshot) = filled(fresh).await;
    let record = fresh();
    record.commit(put("mine", "1")).await.unwrap();
    let usage = fresh();
    let row = UsageRow { writer: 1, tenant: TenantId::new(Millis(1)), day: Day(1), totals: Totals::default() };
    usage.add_usage(vec![row]).await.unwrap();
    let number = fresh();
    number.commit(Tx { numbers: vec!["invoice".into()], ..Tx::default() }).await.unwrap();
    for store in [record, usage, number] {
        let before = store.export().await.unwrap();
        assert!(matches!(store.import(snapshot.clone()).await, Err(StoreError::Refused(_))));
        assert_eq!(store.export().await.unwrap(), before);
        // It was refused, not broken.
        store.commit(put("more", "1")).await.unwrap();
    }
}

pub async fn an_import_that_is_not_whole_is_refused(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let record = |id: &str, len: usize| Record { key: key(id), version: Version(1), value: vec![0; len] };
    let right = Snapshot { schema: crate::store::SCHEMA, records: vec![record("a", 1)], ..Snapshot::default() };
    let newer = Snapshot { schema: crate::store::SCHEMA + 1, ..right.clone() };
    assert!(matches!(store.import(newer).await, Err(StoreError::Schema(_))));
    for records in [vec![record("a", 1), record("a", 2)], vec![record("", 1)], vec![record("a", (1 << 20) + 1)]] {
        assert!(matches!(store.import(Snapshot { records, ..right.clone() }).await, Err(StoreError::Refused(_))));
    }
    let numbers = vec![("a".to_owned(), 1), ("a".to_owned(), 2)];
    assert!(matches!(store.import(Snapshot { numbers, ..right.clone() }).await, Err(StoreError::Refused(_))));
    store.import(right).await.unwrap();
}
