//! What each request changes, as entries of a [`Stage`]. An error here means that the database cannot be read: the whole group
//! is then given up, because a part of a commit may be in it.

use std::collections::VecDeque;
use std::ops::Bound;
use std::time::Duration;

use super::stage::Stage;
use crate::model::{Millis, Totals};
use crate::store::audit::{Draft, Head as LogHead};
use crate::store::codec::{self, Head, PART, space};
use crate::store::rules::{Prepared, lease_end};
use crate::store::{Committed, Draw, KEPT_CHANGES, Key, Precondition, StoreError, Table, UsageRow, Version};

/// Does all of `tx`, or, where a precondition does not hold, nothing: the inner error names the key.
pub(super) fn commit(stage: &mut Stage<'_>, log: &mut VecDeque<Vec<u8>>, prepared: Prepared) -> Result<Result<Committed, Key>, StoreError> {
    let Prepared { tx, mut rows, is_unversioned } = prepared;
    for precondition in tx.preconditions {
        if let Some(key) = broken(stage, precondition)? {
            return Ok(Err(key));
        }
    }
    // What has no version is no news, and readers need not wait until it is on disk.
    if !is_unversioned {
        stage.state.version += 1;
    }
    let version = stage.state.version;
    let mut index = 0;
    for key in tx.deletes {
        set_record(stage, &key, None)?;
        note(stage, log, index, &key)?;
        index += 1;
    }
    let mut puts = tx.puts;
    let numbers = draw(stage, &tx.numbers, &mut puts, &mut rows)?;
    chain(stage, rows, &mut puts)?;
    for (key, value) in puts {
        set_record(stage, &key, Some((version, &value)))?;
        note(stage, log, index, &key)?;
        index += 1;
    }
    while log.len() > KEPT_CHANGES {
        if let Some(oldest) = log.pop_front() {
            stage.let_go(oldest)?;
        }
    }
    Ok(Ok(Committed { version: Version(version), numbers }))
}

/// Draws numbers and writes them into the values and audit rows that are to have them.
fn draw(stage: &mut Stage<'_>, draws: &[Draw], puts: &mut [(Key, Vec<u8>)], rows: &mut [Draft]) -> Result<Vec<u64>, StoreError> {
    let mut numbers = Vec::with_capacity(draws.len());
    for draw in draws {
        let key = codec::named_key(space::NUMBER, &draw.sequence);
        let number = stage.read(&key, codec::number_of)?.unwrap_or(0) + 1;
        stage.put(key, &number.to_le_bytes())?;
        draw.write(number, puts.iter_mut().map(|(_, value)| value).chain(rows.iter_mut().map(|row| &mut row.text)));
        numbers.push(number);
    }
    Ok(numbers)
}

/// Puts audit rows at the end of the log as this group has it so far, so that one that conflicts leaves no gap.
fn chain(stage: &Stage<'_>, rows: Vec<Draft>, puts: &mut Vec<(Key, Vec<u8>)>) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let key = LogHead::key();
    let stored = stage.read(&codec::head_key(key.table, &key.id), |payload| Head::decode(payload).map(|head| head.first.to_vec()))?;
    let mut head = match stored {
        Some(value) => LogHead::read(&value)?,
        None => LogHead::begin(newest(stage)?.as_deref()),
    };
    rows.into_iter().for_each(|row| puts.extend(head.append(row)));
    puts.push(head.put()?);
    Ok(())
}

/// The id of the newest row of a log without a chain.
fn newest(stage: &Stage<'_>) -> Result<Option<String>, StoreError> {
    let mut end = codec::head_key(Table::Audit, "");
    // Ids have ASCII only.
    end.push(u8::MAX);
    let last = stage.entries.range((Bound::Included(codec::head_key(Table::Audit, "")), Bound::Excluded(end)), true).next().transpose()?;
    Ok(last.and_then(|(key, _)| codec::head_of(&key)).map(|key| key.id))
}

/// Raises the counters of one row to at least these.
pub(super) fn raise(stage: &mut Stage<'_>, row: &UsageRow) -> Result<(), StoreError> {
    let key = codec::usage_key(row.tenant, row.day, row.writer);
    let stored = stage.read(&key, |payload| codec::usage_of(&key, payload))?;
    let totals = stored.map_or_else(Totals::default, |stored| stored.totals).highest(&row.totals);
    if stored.is_some_and(|stored| stored.totals == totals) {
        return Ok(());
    }
    stage.put(key, &codec::usage_payload(&totals))
}

/// Takes or renews a lease.
pub(super) fn lease(stage: &mut Stage<'_>, name: &str, holder: &str, now: Millis, ttl: Duration) -> Result<bool, StoreError> {
    let key = codec::named_key(space::LEASE, name);
    let taken = stage.read(&key, |payload| codec::lease_of(payload).map(|(until, by)| by != holder && until > now.0))?;
    if taken == Some(true) {
        return Ok(false);
    }
    stage.put(key, &codec::lease_payload(lease_end(now, ttl), holder))?;
    Ok(true)
}

/// Writes or removes a record and its parts.
pub(super) fn set_record(stage: &mut Stage<'_>, key: &Key, to: Option<(u64, &[u8])>) -> Result<(), StoreError> {
    let head_key = codec::head_key(key.table, &key.id);
    let before = stage.read(&head_key, |payload| Head::decode(payload).map(|head| head.parts()))?.unwrap_or(0);
    let mut parts = 0;
    match to {
        Some((version, value)) => {
            stage.put(head_key, &Head::encode(version, value))?;
            for part in value.chunks(PART).skip(1) {
                parts += 1;
                stage.put(codec::part_key(key, parts), part)?;
            }
        }
        None => stage.remove(head_key)?,
    }
    for surplus in parts + 1..=before {
        stage.remove(codec::part_key(key, surplus))?;
    }
    Ok(())
}

/// The key whose precondition does not hold.
fn broken(stage: &Stage<'_>, precondition: Precondition) -> Result<Option<Key>, StoreError> {
    let (key, wanted) = match precondition {
        Precondition::Absent(key) => (key, None),
        Precondition::Unchanged(key, version) => (key, Some(version.0)),
    };
    let head = codec::head_key(key.table, &key.id);
    let found = stage.read(&head, |payload| Head::decode(payload).map(|head| head.version))?;
    Ok((found != wanted).then_some(key))
}

fn note(stage: &mut Stage<'_>, log: &mut VecDeque<Vec<u8>>, index: u32, key: &Key) -> Result<(), StoreError> {
    if !key.table.is_followed() {
        return Ok(());
    }
    let name = codec::change_key(stage.state.version, index);
    stage.put(name.clone(), &codec::change_payload(key))?;
    log.push_back(name);
    Ok(())
}
