//! What only a store on disk promises: it is still there, whole, after anything; and what is not whole is refused.

// The processes that tests start answer on their standard output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod callers;
mod crash;
mod damage;
mod full;
mod opening;

use std::path::Path;

use super::Embedded;
use crate::model::{Millis, TenantId};
use crate::store::{AuditRow, Key, Snapshot, Store, StoreError, Table, Tx};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

/// A commit whose parts can be recognised: a record of a few parts, its slug, an audit row and a number.
fn commit_named(name: &str, tenant: TenantId) -> Tx {
    let audit = AuditRow {
        time: Millis(1_700_000_000_000),
        actor: "test".to_owned(),
        source: None,
        action: name.to_owned(),
        tenant_id: Some(tenant),
        before: None,
        after: None,
        request_id: None,
        reason: None,
    };
    Tx {
        puts: vec![(Key::new(Table::Tenants, name), value_of(name)), (Key::new(Table::Slugs, name), name.into())],
        numbers: vec!["commits".into()],
        audit: vec![audit],
        ..Tx::default()
    }
}

/// Up to 12 kB that depend on the name in length and content.
fn value_of(name: &str) -> Vec<u8> {
    let seed = crc32fast::hash(name.as_bytes());
    (0..seed % 12_000).map(|at| (at.wrapping_mul(seed) >> 7) as u8).collect()
}

/// Fills a new store with `commits` commits and answers what it holds; it is closed again.
fn filled(path: &Path, commits: usize) -> Snapshot {
    let store = Embedded::open(path).unwrap();
    let tenant = TenantId::new(Millis(1));
    runtime().block_on(async {
        for at in 0..commits {
            store.commit(commit_named(&format!("{at}"), tenant)).await.unwrap();
        }
        store.export().await.unwrap()
    })
}

fn export(store: &Embedded) -> Result<Snapshot, StoreError> {
    runtime().block_on(store.export())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
