//! All or nothing, preconditions, numbers, audit rows, refusals.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Fresh, all, audit_row, key, put};
use crate::model::{Millis, TenantId};
use crate::store::{AuditRow, Draw, Key, LoggedRow, Precondition, Scan, StoreError, Table, Tx, Version, rows_of};

pub async fn a_commit_happens_as_a_whole(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    store.commit(put("old", "1")).await.unwrap();
    let tenant = TenantId::new(Millis(1));
    let tx = Tx {
        puts: vec![(key("a"), b"1".to_vec()), (Key::new(Table::Slugs, "a"), vec![0; 9_000])],
        deletes: vec![key("old"), key("never was")],
        numbers: vec!["invoice".into()],
        audit: vec![audit_row(Some(tenant))],
        ..Tx::default()
    };
    let committed = store.commit(tx).await.unwrap();
    assert_eq!(committed.numbers, [1]);
    let a = store.get(&key("a")).await.unwrap().unwrap();
    assert_eq!((a.value.as_slice(), a.version), (&b"1"[..], committed.version));
    assert_eq!(store.get(&Key::new(Table::Slugs, "a")).await.unwrap().unwrap().value, vec![0; 9_000]);
    assert_eq!(store.get(&key("old")).await.unwrap(), None);
    assert_eq!(store.scan(all(Table::Audit)).await.unwrap().len(), 1);
    assert_eq!(store.version().await.unwrap(), committed.version);
}

pub async fn a_broken_precondition_names_its_key_and_nothing_happens(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let first = store.commit(put("taken", "1")).await.unwrap().version;
    let before = store.export().await.unwrap();
    let broken = [
        Precondition::Absent(key("taken")),
        Precondition::Unchanged(key("missing"), first),
        Precondition::Unchanged(key("taken"), Version(first.0 + 1)),
    ];
    for precondition in broken {
        let (Precondition::Absent(named) | Precondition::Unchanged(named, _)) = precondition.clone();
        let tx = Tx {
            preconditions: vec![Precondition::Absent(key("free")), precondition],
            puts: vec![(key("new"), vec![1])],
            deletes: vec![key("taken")],
            numbers: vec!["invoice".into()],
            audit: vec![audit_row(None)],
        };
        assert!(matches!(store.commit(tx).await, Err(StoreError::Conflict(key)) if key == named), "{named:?}");
        assert_eq!(store.export().await.unwrap(), before);
        assert_eq!(store.version().await.unwrap(), first);
        assert_eq!(store.changes(first, 9).await.unwrap(), []);
    }
    let holds = Tx { preconditions: vec![Precondition::Unchanged(key("taken"), first)], ..put("taken", "2") };
    store.commit(holds).await.unwrap();
}

pub async fn of_concurrent_claims_of_one_key_exactly_one_wins(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    for round in 0..5 {
        let slug = Key::new(Table::Slugs, format!("slug-{round}"));
        let mut claims = tokio::task::JoinSet::new();
        for claimant in 0..20 {
            let (store, slug) = (store.store.clone(), slug.clone());
            claims.spawn(async move {
                let tx = Tx {
                    preconditions: vec![Precondition::Absent(slug.clone())],
                    puts: vec![(slug, format!("{claimant}").into_bytes())],
                    ..Tx::default()
                };
                (claimant, store.commit(tx).await)
            });
        }
        let mut winners = Vec::new();
        for (claimant, outcome) in claims.join_all().await {
            match outcome {
                Ok(_) => winners.push(claimant),
                Err(error) => assert!(matches!(error, StoreError::Conflict(ref key) if *key == slug), "{error}"),
            }
        }
        let stored = store.get(&slug).await.unwrap().unwrap().value;
        assert_eq!(winners.iter().map(|winner: &i32| winner.to_string().into_bytes()).collect::<Vec<_>>(), [stored]);
    }
}

pub async fn of_concurrent_changes_of_one_version_exactly_one_wins(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    store.commit(put("counter", "0")).await.unwrap();
    let mut adders = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.store.clone();
        adders.spawn(async move {
            let mut done = 0;
            while done < 5 {
                let now = store.get(&key("counter")).await.unwrap().unwrap();
                let next: u64 = String::from_utf8(now.value).unwrap().parse::<u64>().unwrap() + 1;
                let tx =
                    Tx { preconditions: vec![Precondition::Unchanged(key("counter"), now.version)], ..put("counter", next.to_string()) };
                done += u64::from(store.commit(tx).await.is_ok());
            }
        });
    }
    adders.join_all().await;
    assert_eq!(store.get(&key("counter")).await.unwrap().unwrap().value, b"40");
}

pub async fn numbers_have_no_gaps_even_where_commits_conflict(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..60 {
        let store = store.store.clone();
        tasks.spawn(async move {
            // Three ask for each key: one gets it, and a number.
            let claimed = key(format!("{}", task / 3));
            let tx =
                Tx { preconditions: vec![Precondition::Absent(claimed.clone())], numbers: vec!["invoice".into()], ..put(claimed.id, "x") };
            store.commit(tx).await.map(|committed| committed.numbers).unwrap_or_default()
        });
    }
    let drawn: Vec<u64> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(drawn.iter().copied().collect::<BTreeSet<_>>(), (1..=20).collect());
    assert_eq!(drawn.len(), 20);
}

pub async fn one_commit_draws_several_numbers_in_order(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let draw = |names: &[&str]| Tx { numbers: names.iter().map(|name| (*name).into()).collect(), ..Tx::default() };
    assert_eq!(store.commit(draw(&["a", "b", "a"])).await.unwrap().numbers, [1, 1, 2]);
    assert_eq!(store.commit(draw(&["b", "a"])).await.unwrap().numbers, [2, 3]);
}

pub async fn a_number_is_written_where_its_mark_stands(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let tenant = TenantId::new(Millis(1));
    for round in 1..=12 {
        let (draw, mark) = Draw::written("invoice", 6);
        let (credit, other) = Draw::written("credit", 1);
        let row = AuditRow { after: Some(json!({"number": format!("INV-{mark}")})), ..audit_row(Some(tenant)) };
        let text = format!("{mark} and INV-{mark}, CN-{other}{}", "x".repeat(5_000));
        let tx = Tx { numbers: vec![draw, credit], audit: vec![row], ..put("a", text) };
        assert_eq!(store.commit(tx).await.unwrap().numbers, [round, round]);
        let stored = store.get(&key("a")).await.unwrap().unwrap().value;
        let expected = format!("{round:06} and INV-{round:06}, CN-{round}{}", "x".repeat(5_000));
        assert_eq!(String::from_utf8(stored).unwrap(), expected);
        let row = store.scan(Scan { newest_first: true, limit: 1, ..all(Table::Audit) }).await.unwrap().remove(0);
        assert_eq!(LoggedRow::read(&row).unwrap().row.after, Some(json!({"number": format!("INV-{round:06}")})));
    }
}

pub async fn deletes_come_before_puts(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    store.commit(put("a", vec![1; 8_000])).await.unwrap();
    let tx = Tx { deletes: vec![key("a")], puts: vec![(key("a"), vec![2]), (key("a"), vec![3; 5_000])], ..Tx::default() };
    store.commit(tx).await.unwrap();
    assert_eq!(store.get(&key("a")).await.unwrap().unwrap().value, vec![3; 5_000]);
}

pub async fn versions_grow_with_every_commit(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let mut last = store.version().await.unwrap();
    for round in 0..5 {
        let version = store.commit(put(format!("{}", round % 2), "x")).await.unwrap().version;
        assert!(version > last);
        assert_eq!(store.version().await.unwrap(), version);
        last = version;
    }
}

pub async fn a_large_value_can_shrink_and_grow(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    for len in [0, 1, 3_899, 3_900, 3_901, 7_800, 7_801, 100_000, 1 << 20, 20_000, 0, 3_901, 10] {
        let value: Vec<u8> = (0..len).map(|at| (at * 7 % 251) as u8).collect();
        store.commit(put("a", value.clone())).await.unwrap();
        assert!(store.get(&key("a")).await.unwrap().unwrap().value == value, "{len} bytes");
        assert!(store.scan(all(Table::Settings)).await.unwrap().iter().map(|record| &record.value).eq([&value]), "{len} bytes");
    }
    store.commit(Tx { deletes: vec![key("a")], ..Tx::default() }).await.unwrap();
    assert_eq!(store.get(&key("a")).await.unwrap(), None);
}

pub async fn audit_rows_share_the_commit_and_its_fate(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let (one, two) = (TenantId::new(Millis(1)), TenantId::new(Millis(2)));
    let rows = [audit_row(Some(one)), audit_row(Some(two)), audit_row(None)];
    let committed = store.commit(Tx { audit: rows.to_vec(), ..put("a", "1") }).await.unwrap();
    let logged = store.scan(all(Table::Audit)).await.unwrap();
    let read: Vec<AuditRow> = logged.iter().map(|record| LoggedRow::read(record).unwrap().row).collect();
    assert_eq!(read, rows);
    assert!(logged.iter().all(|record| record.version == committed.version));
    for (tenant, at) in [(one, 0), (two, 1)] {
        let of_tenant = store.scan(Scan { prefix: format!("{tenant}/"), ..all(Table::AuditByTenant) }).await.unwrap();
        assert_eq!(of_tenant.len(), 1);
        assert_eq!(of_tenant[0].key.id, format!("{tenant}/{}", logged[at].key.id));
        assert_eq!(rows_of(&**store, of_tenant).await.unwrap()[0].value, logged[at].value);
    }
    let never = Precondition::Absent(key("a"));
    let refused = Tx { preconditions: vec![never], audit: rows.to_vec(), ..put("b", "1") };
    assert!(matches!(store.commit(refused).await, Err(StoreError::Conflict(_))));
    assert_eq!((store.get(&key("b")).await.unwrap(), store.scan(all(Table::Audit)).await.unwrap().len()), (None, 3));
}

pub async fn the_audit_log_cannot_be_changed(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let row = audit_row(Some(TenantId::new(Millis(1))));
    store.commit(Tx { audit: vec![row.clone()], ..Tx::default() }).await.unwrap();
    for table in [Table::Audit, Table::AuditByTenant, Table::AuditHead] {
        let name = store.scan(all(table)).await.unwrap().remove(0).key;
        let overwrite = Tx { puts: vec![(name.clone(), vec![])], ..Tx::default() };
        assert!(matches!(store.commit(overwrite).await, Err(StoreError::Refused(_))));
        let delete = Tx { deletes: vec![name], ..Tx::default() };
        assert!(matches!(store.commit(delete).await, Err(StoreError::Refused(_))));
    }
    assert_eq!(store.scan(all(Table::AuditByTenant)).await.unwrap().len(), 1);
}

pub async fn what_cannot_be_held_is_refused_and_nothing_happens(fresh: &(dyn Fn() -> Fresh + Sync)) {
    let store = fresh();
    let long = "a".repeat(513);
    for wrong in ["", "tab\t", "nul\0", "ümlaut", "del\u{7f}", &long] {
        let mut tx = put("right", "1");
        tx.puts.push((key(wrong), vec![]));
        assert!(matches!(store.commit(tx).await, Err(StoreError::Refused(_))), "put {wrong}");
        let tx = Tx { numbers: vec![wrong.into()], ..put("right", "1") };
        assert!(matches!(store.commit(tx).await, Err(StoreError::Refused(_))), "number {wrong}");
        let tx = Tx { deletes: vec![key(wrong)], ..put("right", "1") };
        assert!(matches!(store.commit(tx).await, Err(StoreError::Refused(_))), "delete {wrong}");
        let tx = Tx { preconditions: vec![Precondition::Absent(key(wrong))], ..put("right", "1") };
        assert!(matches!(store.commit(tx).await, Err(StoreError::Refused(_))), "precondition {wrong}");
        let leased = store.lease(wrong, "holder", Millis(0), std::time::Duration::from_secs(1)).await;
        assert!(matches!(leased, Err(StoreError::Refused(_))), "lease {wrong}");
    }
    let mut tx = put("right", "1");
    tx.puts.push((key("big"), vec![0; (1 << 20) + 1]));
    assert!(matches!(store.commit(tx).await, Err(StoreError::Refused(_))));
    let mut row = audit_row(None);
    row.actor = "a".repeat(1 << 20);
    assert!(matches!(store.commit(Tx { audit: vec![row], ..put("right", "1") }).await, Err(StoreError::Refused(_))));
    assert_eq!(store.version().await.unwrap(), Version(0));
    assert_eq!(store.get(&key("right")).await.unwrap(), None);
    let longest = "~".repeat(512);
    store.commit(put(longest.clone(), vec![7; 1 << 20])).await.unwrap();
    assert_eq!(store.get(&key(longest)).await.unwrap().unwrap().value, vec![7; 1 << 20]);
}
