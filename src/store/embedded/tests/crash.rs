//! `kill -9` at random moments: what was acknowledged is there, and every commit is there as a whole or not at all.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::store::{Record, UsageRow};

const ROUNDS: u32 = 5;
const TASKS: u32 = 4;
const KEPT: u64 = 20;

/// The test binary again, as the process that will be killed.
fn start(child: &str, path: &Path, round: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("store::embedded::tests::crash::{child}"), "--ignored", "--nocapture"])
        .env("STORE_UNDER_TEST", path)
        .env("STORE_ROUND", round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

fn under_test() -> (Embedded, String) {
    let path = std::env::var("STORE_UNDER_TEST").unwrap();
    (Embedded::open(path.as_ref()).unwrap(), std::env::var("STORE_ROUND").unwrap())
}

#[test]
fn every_acknowledged_commit_survives_kill_9_whole_with_its_audit_row() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut child = start("child_that_commits", directory.path(), round);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let wanted = fastrand::usize(1..300);
        let mut take = |line: &str| {
            let (number, name) = line.strip_prefix("acknowledged ")?.split_once(' ')?;
            acknowledged.insert(name.to_owned(), number.parse().ok()?)
        };
        for line in lines.by_ref().filter(|line| line.as_ref().unwrap().starts_with("acknowledged")).take(wanted) {
            take(&line.unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died counts as well.
        for line in lines {
            take(&line.unwrap());
        }
        assert!(acknowledged.len() >= wanted);
        let store = Embedded::open(directory.path()).unwrap();
        check(&export(&store).unwrap(), &acknowledged);
        let version = runtime().block_on(store.version()).unwrap();
        let newest = runtime().block_on(store.changes(crate::store::Version(version.0 - 1), 100)).unwrap();
        assert!(matches!(newest.len(), 4 | 5), "the newest commit has all of its changes");
    }
}

fn check(content: &Snapshot, acknowledged: &BTreeMap<String, u64>) {
    let of = |table: Table| content.records.iter().filter(move |record| record.key.table == table);
    let tenants: BTreeMap<&str, &Record> = of(Table::Tenants).map(|record| (record.key.id.as_str(), record)).collect();
    let slugs: BTreeMap<&str, &Record> = of(Table::Slugs).map(|record| (record.key.id.as_str(), record)).collect();
    let audit: BTreeMap<String, &Record> =
        of(Table::Audit).map(|record| (serde_json::from_slice::<AuditRow>(&record.value).unwrap().action, record)).collect();
    for (name, number) in acknowledged {
        assert!(tenants.contains_key(name.as_str()), "{name} (number {number}) was acknowledged and is gone");
    }
    // Acknowledged or not, a commit is whole: each has its slug, its audit row, that row by tenant, its number.
    for (name, record) in &tenants {
        assert!(record.value == value_of(name), "{name} has another value");
        assert_eq!(slugs[name].version, record.version, "{name}");
        assert_eq!(audit[*name].version, record.version, "{name}");
    }
    for record in of(Table::Settings) {
        let end = record.value.iter().position(|byte| *byte == b'\n').unwrap();
        let name = std::str::from_utf8(&record.value[..end]).unwrap();
        assert_eq!(record.version, tenants[name].version, "{}", record.key.id);
        assert!(record.value[end + 1..] == value_of(name), "{}", record.key.id);
    }
    let domains: BTreeMap<&str, &Record> = of(Table::Domains).map(|record| (record.key.id.as_str(), record)).collect();
    assert!(domains.keys().all(|name| tenants.contains_key(name)));
    for name in tenants.keys() {
        let (task, at) = name.rsplit_once(' ').unwrap();
        let deleted = tenants.contains_key(format!("{task} {}", at.parse::<u64>().unwrap() + KEPT).as_str());
        assert_eq!(domains.contains_key(name), !deleted, "{name}");
    }
    let commits = tenants.len();
    assert_eq!((slugs.len(), audit.len(), of(Table::AuditByTenant).count()), (commits, commits, commits));
    let in_memory = crate::store::memory::Memory::default();
    let checked = runtime().block_on(async {
        in_memory.import(content.clone()).await.unwrap();
        crate::store::check_log(&in_memory, None).await.unwrap()
    });
    assert_eq!((checked.rows, checked.problems), (commits as u64, vec![]), "the chain has each row");
    let numbers: BTreeMap<&str, u64> = content.numbers.iter().map(|(name, number)| (name.as_str(), *number)).collect();
    assert_eq!(numbers["commits"], commits as u64);
    for row in &content.usage {
        assert_eq!(row.totals.metered * 2, row.totals.egress);
    }
}

#[test]
#[ignore = "the process that another test kills"]
fn child_that_commits() {
    let (store, round) = under_test();
    let store = std::sync::Arc::new(store);
    runtime().block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            let (store, round) = (store.clone(), round.clone());
            let tenant = TenantId::new(Millis(i64::from(task)));
            tasks.spawn(async move {
                for at in 0..100_000 {
                    let name = format!("{round} {task} {at}");
                    // Written over and over, so that the log is cleaned and its segments are used again.
                    let churn = [name.as_bytes(), b"\n", &value_of(&name)].concat();
                    let mut tx = commit_named(&name, tenant);
                    tx.puts.push((Key::new(Table::Settings, format!("churn {task} {}", at % 30)), churn));
                    // Twenty are kept, so that pages empty and are merged.
                    tx.puts.push((Key::new(Table::Domains, name.as_str()), vec![]));
                    tx.deletes.extend((at >= KEPT).then(|| Key::new(Table::Domains, format!("{round} {task} {}", at - KEPT))));
                    let committed = store.commit(tx).await.unwrap();
                    println!("acknowledged {} {name}", committed.numbers[0]);
                    let totals = crate::model::Totals { metered: at, egress: at * 2, ..Default::default() };
                    let row = UsageRow { writer: u64::from(task), tenant, day: crate::model::Day(1), totals };
                    store.add_usage(vec![row]).await.unwrap();
                }
            });
        }
        tasks.join_all().await;
    });
}

#[test]
fn an_import_that_is_killed_leaves_an_empty_store() {
    let mut cut_off = 0;
    for round in 0..2 {
        let directory = tempfile::tempdir().unwrap();
        drop(Embedded::open(directory.path()).unwrap());
        let mut child = start("child_that_imports", directory.path(), round);
        let data = directory.path().join("sled/db");
        let wanted = fastrand::u64(1..8) << 20;
        while std::fs::metadata(&data).unwrap().len() < wanted {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it had written that much");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        let store = Embedded::open(directory.path()).unwrap();
        let content = export(&store).unwrap();
        if content.records.is_empty() {
            assert!(!said.contains("imported") && content.usage.is_empty() && content.numbers.is_empty());
            cut_off += 1;
        } else {
            assert!(content == large());
        }
        drop(store);
        let store = Embedded::open(directory.path()).unwrap();
        if content.records.is_empty() {
            runtime().block_on(store.import(large())).unwrap();
        }
        assert!(export(&store).unwrap() == large());
    }
    assert!(cut_off > 0, "every import was over before it was killed");
}

fn large() -> Snapshot {
    let record = |at: u64| {
        let id = format!("{at:05}");
        Record { value: value_of(&id), key: Key::new(Table::Tenants, id), version: crate::store::Version(at + 1) }
    };
    Snapshot {
        schema: crate::store::SCHEMA,
        records: (0..1_500).map(record).collect(),
        numbers: vec![("invoice".to_owned(), 7)],
        ..Snapshot::default()
    }
}

#[test]
#[ignore = "the process that another test kills"]
fn child_that_imports() {
    let (store, _) = under_test();
    runtime().block_on(store.import(large())).unwrap();
    println!("imported");
}
