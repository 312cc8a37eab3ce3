//! What every implementation does alike: what it refuses to hold, how counters rise, when a lease ends.

use std::collections::BTreeSet;
use std::time::Duration;

use super::audit::{ADDED, Draft};
use super::{AuditRow, Changed, Key, Precondition, Record, SCHEMA, Snapshot, StoreError, Table, Tx, UsageRow};
use crate::model::Millis;

/// The longest id, in bytes.
pub(super) const MAX_ID: usize = 512;
/// The longest value, in bytes.
pub(super) const MAX_VALUE: usize = 1 << 20;

/// A commit that was checked. Its audit rows are not in [`Tx::audit`] any more, but ready to be chained.
#[derive(Debug)]
pub(super) struct Prepared {
    pub tx: Tx,
    pub rows: Vec<Draft>,
    /// See [`Tx::is_unversioned`].
    pub is_unversioned: bool,
}

/// Checks `tx` and makes its audit rows ready.
pub(super) fn prepare(mut tx: Tx) -> Result<Prepared, StoreError> {
    for (key, value) in &tx.puts {
        writable(key)?;
        fits(key, value)?;
    }
    tx.deletes.iter().try_for_each(writable)?;
    for precondition in &tx.preconditions {
        let (Precondition::Absent(key) | Precondition::Unchanged(key, _)) = precondition;
        id(&key.id)?;
    }
    tx.numbers.iter().try_for_each(|draw| id(&draw.sequence))?;
    let is_unversioned = tx.is_unversioned();
    let rows = std::mem::take(&mut tx.audit).into_iter().map(draft).collect::<Result<_, _>>()?;
    Ok(Prepared { tx, rows, is_unversioned })
}

fn draft(row: AuditRow) -> Result<Draft, StoreError> {
    let draft = Draft::of(row)?;
    let size = draft.text.len() + ADDED;
    if size <= MAX_VALUE { Ok(draft) } else { Err(StoreError::Refused(format!("an audit row has {size} bytes, more than {MAX_VALUE}"))) }
}

/// Checks that `snapshot` is whole and of a schema that this version reads.
pub(super) fn snapshot(snapshot: &Snapshot) -> Result<(), StoreError> {
    if snapshot.schema != SCHEMA {
        let (found, known) = (snapshot.schema, SCHEMA);
        let text = format!("the backup has schema {found}, this version reads schema {known}; restore it with the version that wrote it");
        return Err(StoreError::Schema(text));
    }
    let mut keys = BTreeSet::new();
    for Record { key, version, value } in &snapshot.records {
        id(&key.id)?;
        countable(version.0)?;
        fits(key, value)?;
        unique(keys.insert(key), || format!("{key:?}"))?;
    }
    let mut rows = BTreeSet::new();
    for row in &snapshot.usage {
        unique(rows.insert((row.tenant, row.day, row.writer)), || format!("the usage of {} on day {}", row.tenant, row.day.0))?;
    }
    let mut names = BTreeSet::new();
    for (name, number) in &snapshot.numbers {
        id(name)?;
        countable(*number)?;
        unique(names.insert(name), || format!("the sequence {name}"))?;
    }
    Ok(())
}

/// Checks the name of a record, sequence, lease or holder.
pub(super) fn id(text: &str) -> Result<(), StoreError> {
    let printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if printable && (1..=MAX_ID).contains(&text.len()) {
        return Ok(());
    }
    let shown: String = text.chars().take(40).flat_map(char::escape_default).collect();
    Err(StoreError::Refused(format!("an id has 1 to {MAX_ID} printable ASCII characters, `{shown}` has not")))
}

/// The error of an import into a store that has something.
pub(super) fn not_empty() -> StoreError {
    StoreError::Refused("a backup is restored into an empty store only, and this one has data".to_owned())
}

/// When a lease taken `now` ends, in milliseconds since the epoch.
pub(super) fn lease_end(now: Millis, ttl: Duration) -> i64 {
    now.plus(ttl).0
}

/// Cuts a page of the change log after the last commit that is whole within `limit`, but leaves at least the first commit:
/// who follows asks next for what is after the last version seen, and would miss the rest of a commit cut in two.
pub(super) fn whole_commits(found: &mut Vec<Changed>, limit: usize) {
    let (Some(first), Some(over)) = (found.first(), found.get(limit)) else { return };
    let (first, over) = (first.version, over.version);
    found.retain(|change| change.version < over || (change.version == first && limit > 0));
}

/// Cuts a page of usage after the last tenant that is whole within `limit`, but leaves at least the first one whole: who reads
/// on asks next for the tenants after the last one seen.
pub(super) fn whole_tenants(found: &mut Vec<UsageRow>, limit: usize) {
    let (Some(first), Some(over)) = (found.first(), found.get(limit)) else { return };
    let (first, over) = (first.tenant, over.tenant);
    found.retain(|row| row.tenant < over || (row.tenant == first && limit > 0));
}

/// Numbers go on from here by one for ever, and a SQL database counts to 2^63.
fn countable(number: u64) -> Result<(), StoreError> {
    if number <= 1 << 62 { Ok(()) } else { Err(StoreError::Refused(format!("the backup has a version or a number {number}"))) }
}

fn unique(new: bool, what: impl Fn() -> String) -> Result<(), StoreError> {
    if new { Ok(()) } else { Err(StoreError::Refused(format!("the backup has {} twice", what()))) }
}

fn writable(key: &Key) -> Result<(), StoreError> {
    if matches!(key.table, Table::Audit | Table::AuditByTenant | Table::AuditHead) {
        return Err(StoreError::Refused("the audit log is written by audit rows only, and never changed".to_owned()));
    }
    id(&key.id)
}

fn fits(key: &Key, value: &[u8]) -> Result<(), StoreError> {
    if value.len() <= MAX_VALUE {
        return Ok(());
    }
    Err(StoreError::Refused(format!("{:?} {} has {} bytes, more than {MAX_VALUE}", key.table, key.id, value.len())))
}
