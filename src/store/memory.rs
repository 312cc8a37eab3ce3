//! A store in memory, for tests of the layers above: the same promises but durability.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::audit::{Draft, Head};
use super::rules::Prepared;
use super::{
    Changed, Committed, KEPT_CHANGES, Key, Precondition, Record, SCHEMA, Scan, Snapshot, Store, StoreError, Table, Tx, UsageRow, Version,
    rules,
};
use crate::model::{Day, Millis, TenantId};

/// Everything in maps behind one lock.
#[derive(Default)]
pub struct Memory(Mutex<State>);

#[derive(Default)]
struct State {
    version: u64,
    records: BTreeMap<Key, Record>,
    usage: BTreeMap<(TenantId, Day, u64), UsageRow>,
    numbers: BTreeMap<String, u64>,
    changes: Vec<Changed>,
    leases: BTreeMap<String, (String, i64)>,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, key: Key) {
        if key.table.is_followed() {
            self.changes.push(Changed { version: Version(self.version), key });
        }
    }

    fn chain(&self, rows: Vec<Draft>, puts: &mut Vec<(Key, Vec<u8>)>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let newest = || self.records.keys().rfind(|key| key.table == Table::Audit).map(|key| &*key.id);
        let mut head = match self.records.get(&Head::key()) {
            Some(record) => Head::read(&record.value)?,
            None => Head::begin(newest()),
        };
        rows.into_iter().for_each(|row| puts.extend(head.append(row)));
        puts.push(head.put()?);
        Ok(())
    }
}

#[async_trait]
impl Store for Memory {
    async fn commit(&self, tx: Tx) -> Result<Committed, StoreError> {
        let Prepared { tx, mut rows, is_unversioned } = rules::prepare(tx)?;
        // Lets concurrent callers interleave as they do before a real database.
        tokio::task::yield_now().await;
        let mut state = self.state();
        for precondition in &tx.preconditions {
            let (key, holds) = match precondition {
                Precondition::Absent(key) => (key, !state.records.contains_key(key)),
                Precondition::Unchanged(key, version) => (key, state.records.get(key).is_some_and(|record| record.version == *version)),
            };
            if !holds {
                return Err(StoreError::Conflict(key.clone()));
            }
        }
        if !is_unversioned {
            state.version += 1;
        }
        let version = Version(state.version);
        for key in tx.deletes {
            state.records.remove(&key);
            state.note(key);
        }
        let mut puts = tx.puts;
        let mut numbers = Vec::new();
        for draw in &tx.numbers {
            let number = state.numbers.entry(draw.sequence.clone()).or_insert(0);
            *number += 1;
            draw.write(*number, puts.iter_mut().map(|(_, value)| value).chain(rows.iter_mut().map(|row| &mut row.text)));
            numbers.push(*number);
        }
        state.chain(rows, &mut puts)?;
        for (key, value) in puts {
            state.records.insert(key.clone(), Record { key: key.clone(), version, value });
            state.note(key);
        }
        let surplus = state.changes.len().saturating_sub(KEPT_CHANGES);
        state.changes.drain(..surplus);
        Ok(Committed { version, numbers })
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        Ok(self.state().records.get(key).cloned())
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Record>, StoreError> {
        let state = self.state();
        let beyond = |id: &str| match &scan.after {
            Some(after) if scan.newest_first => id < after.as_str(),
            Some(after) => id > after.as_str(),
            None => true,
        };
        let wanted = |key: &Key| key.table == scan.table && key.id.starts_with(&scan.prefix) && beyond(&key.id);
        let mut found: Vec<Record> = state.records.values().filter(|record| wanted(&record.key)).cloned().collect();
        if scan.newest_first {
            found.reverse();
        }
        found.truncate(scan.limit);
        Ok(found)
    }

    async fn add_usage(&self, rows: Vec<UsageRow>) -> Result<(), StoreError> {
        let mut state = self.state();
        for row in rows {
            let stored = state.usage.entry((row.tenant, row.day, row.writer)).or_insert(row);
            stored.totals = stored.totals.highest(&row.totals);
        }
        Ok(())
    }

    async fn usage(&self, tenant: TenantId, days: Range<Day>) -> Result<Vec<UsageRow>, StoreError> {
        Ok(self.state().usage.values().filter(|row| row.tenant == tenant && days.contains(&row.day)).copied().collect())
    }

    async fn usage_since(&self, from: Day, after: Option<TenantId>, limit: usize) -> Result<Vec<UsageRow>, StoreError> {
        let beyond = |row: &&UsageRow| row.day >= from && after.is_none_or(|after| row.tenant > after);
        let mut found = self.state().usage.values().filter(beyond).copied().collect();
        rules::whole_tenants(&mut found, limit);
        Ok(found)
    }

    async fn lease(&self, name: &str, holder: &str, now: Millis, ttl: Duration) -> Result<bool, StoreError> {
        rules::id(name)?;
        rules::id(holder)?;
        let mut state = self.state();
        let free = state.leases.get(name).is_none_or(|(by, until)| by == holder || *until <= now.0);
        if free {
            state.leases.insert(name.to_owned(), (holder.to_owned(), rules::lease_end(now, ttl)));
        }
        Ok(free)
    }

    async fn changes(&self, since: Version, limit: usize) -> Result<Vec<Changed>, StoreError> {
        let mut found = self.state().changes.iter().filter(|change| change.version > since).cloned().collect();
        rules::whole_commits(&mut found, limit);
        Ok(found)
    }

    async fn version(&self) -> Result<Version, StoreError> {
        Ok(Version(self.state().version))
    }

    async fn export(&self) -> Result<Snapshot, StoreError> {
        let state = self.state();
        Ok(Snapshot {
            schema: SCHEMA,
            records: state.records.values().cloned().collect(),
            usage: state.usage.values().copied().collect(),
            numbers: state.numbers.iter().map(|(name, number)| (name.clone(), *number)).collect(),
        })
    }

    async fn import(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        rules::snapshot(&snapshot)?;
        let mut state = self.state();
        if !(state.records.is_empty() && state.usage.is_empty() && state.numbers.is_empty()) {
            return Err(rules::not_empty());
        }
        let newest = snapshot.records.iter().map(|record| record.version.0).max().unwrap_or(0);
        state.version = state.version.max(newest);
        state.records = snapshot.records.into_iter().map(|record| (record.key.clone(), record)).collect();
        state.usage = snapshot.usage.into_iter().map(|row| ((row.tenant, row.day, row.writer), row)).collect();
        state.numbers = snapshot.numbers.into_iter().collect();
        Ok(())
    }
}
