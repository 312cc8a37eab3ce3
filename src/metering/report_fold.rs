//! The fold of reports: brings the log of reports to the store, each once.
//!
//! Where the next fold begins is written in the commit that writes what came before. So a fold that is killed, cancelled or run
//! twice takes no report twice and leaves none out. It is kept when the log is gone, in case a file that was set aside comes back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::journal::reports::Place;
use super::report::{Report, ReportKey, UserHash, What};
use super::{Journal, active_users};
use crate::model::{Levels, Millis, Month, TenantId};
use crate::store::{Key, Precondition, Scan, Store, StoreError, Table, Tx, Version};

/// Reports of one commit.
const BATCH: usize = 256;
/// How often a commit is tried that another one came before.
const TRIES: usize = 8;

/// What the store knows of a tenant's gauges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GaugeRecord {
    /// The journal's incarnation that the levels come from; those of an earlier one say nothing any more.
    #[serde(default)]
    pub writer: u64,
    /// The month that `peak` is of.
    pub month: String,
    /// The levels as they stand.
    pub now: Levels,
    /// The highest levels of the month, those at its beginning included.
    pub peak: Levels,
    /// The most octets of the month that lay beyond the limit of a plan that bills them.
    #[serde(default)]
    pub storage_over: u64,
}

/// What is kept of a report that had an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptReport {
    /// Hash of what was asked for.
    pub body: String,
    /// The level that came of it, where it was one.
    pub level: Option<u64>,
    /// When it was taken.
    pub time: Millis,
}

/// Brings every report that is in the log to the store.
pub async fn fold_reports(journal: &Journal, store: &dyn Store) -> Result<(), StoreError> {
    let mut begin = journal.report_turn().await;
    let mut conflicts = 0;
    loop {
        let (reports, next) = journal.reports().from(*begin, BATCH);
        if reports.is_empty() {
            return Ok(());
        }
        match apply(store, journal.incarnation(), *begin, &reports, next).await {
            Ok(()) => {}
            // A fold was cancelled after the store had taken its commit.
            Err(StoreError::Conflict(_)) if conflicts < TRIES => {
                conflicts += 1;
                let (cursor, _) = read_cursor(store, journal.incarnation()).await?;
                let behind = journal.reports().between(*begin, cursor);
                forget(journal, &behind, cursor);
                *begin = cursor;
                continue;
            }
            Err(error) => return Err(error),
        }
        forget(journal, &reports, next);
        *begin = next;
    }
}

fn forget(journal: &Journal, reports: &[Report], next: Place) {
    if let Err(error) = journal.reports().folded(reports, next) {
        tracing::warn!(%error, "a file of reports that the store has stays until the next start");
    }
}

/// Brings the log of a process that is gone to the store.
pub(super) async fn fold_all(store: &dyn Store, incarnation: u64, log: &BTreeMap<Place, Report>) -> Result<(), StoreError> {
    let (begin, _) = read_cursor(store, incarnation).await?;
    let left: Vec<(Place, Report)> = log.range(begin..).map(|(place, report)| (*place, *report)).collect();
    let mut begin = begin;
    for batch in left.chunks(BATCH) {
        let Some((last, _)) = batch.last() else { break };
        let next = Place { sequence: last.sequence, index: last.index + 1 };
        let reports: Vec<Report> = batch.iter().map(|(_, report)| *report).collect();
        apply(store, incarnation, begin, &reports, next).await?;
        begin = next;
    }
    Ok(())
}

/// Commits what some reports change, and that the next fold begins after them.
async fn apply(store: &dyn Store, incarnation: u64, begin: Place, reports: &[Report], next: Place) -> Result<(), StoreError> {
    let (cursor, version) = read_cursor(store, incarnation).await?;
    let key = cursor_key(incarnation);
    if cursor != begin {
        return Err(StoreError::Conflict(key));
    }
    let fresh = match version {
        Some(version) => Precondition::Unchanged(key.clone(), version),
        None => Precondition::Absent(key.clone()),
    };
    let mut tx = Tx { preconditions: vec![fresh], ..Tx::default() };
    tx.puts.push((key, format!("{:08x}/{:08x}", next.sequence, next.index).into_bytes()));
    let mut users: BTreeMap<(Month, TenantId), Vec<UserHash>> = BTreeMap::new();
    let mut levels: BTreeMap<TenantId, Vec<&Report>> = BTreeMap::new();
    for report in reports {
        match report.what {
            What::Level(..) => levels.entry(report.tenant).or_default().push(report),
            What::ActiveUser(user) => users.entry((report.time.day().month(), report.tenant)).or_default().push(user),
            What::KnownUser => {}
        }
        if let Some(key) = report.key {
            tx.puts.push((kept_key(report.tenant, &key), encode(&kept(report, &key))?));
        }
    }
    for (tenant, reports) in levels {
        put_levels(store, incarnation, tenant, &reports, &mut tx).await?;
    }
    for ((month, tenant), users) in users {
        tx.puts.push(active_users::append(store, month, tenant, &users).await?);
    }
    store.commit(tx).await.map(drop)
}

async fn put_levels(store: &dyn Store, incarnation: u64, tenant: TenantId, reports: &[&Report], tx: &mut Tx) -> Result<(), StoreError> {
    let mut record = stored_levels(store, tenant).await?;
    if record.as_ref().is_some_and(|record| record.writer > incarnation) {
        return Ok(());
    }
    for report in reports {
        let What::Level(gauge, level, over) = report.what else { continue };
        let month = report.time.day().month().to_string();
        let record = record.get_or_insert_with(|| GaugeRecord {
            writer: incarnation,
            month: month.clone(),
            now: Levels::default(),
            peak: Levels::default(),
            storage_over: 0,
        });
        record.writer = incarnation;
        // A clock that went back books to the later month.
        if month > record.month {
            tx.puts.push((Key::new(Table::GaugeMonths, format!("{tenant}/{}", record.month)), encode(&record)?));
            (record.month, record.peak, record.storage_over) = (month, record.now, 0);
        }
        *record.now.get_mut(gauge) = level;
        record.peak = record.peak.highest(&record.now);
        record.storage_over = record.storage_over.max(over);
    }
    if let Some(record) = record {
        tx.puts.push((Key::new(Table::Gauges, tenant.to_string()), encode(&record)?));
    }
    Ok(())
}

/// What the store knows of a tenant's gauges.
pub async fn stored_levels(store: &dyn Store, tenant: TenantId) -> Result<Option<GaugeRecord>, StoreError> {
    let record = store.get(&Key::new(Table::Gauges, tenant.to_string())).await?;
    record.map(|record| decode(&record.key, &record.value)).transpose()
}

/// The gauges of a tenant in a month: as they stand or stood at its end, and their peaks. `None` where nothing was reported
/// until then.
pub async fn levels_in(store: &dyn Store, tenant: TenantId, month: Month) -> Result<Option<GaugeRecord>, StoreError> {
    let month = month.to_string();
    if let Some(current) = stored_levels(store, tenant).await?.filter(|record| record.month <= month) {
        let (peak, storage_over) = if current.month == month { (current.peak, current.storage_over) } else { (current.now, 0) };
        return Ok(Some(GaugeRecord { month, peak, storage_over, ..current }));
    }
    // `~` sorts after every month.
    let scan = Scan {
        table: Table::GaugeMonths,
        prefix: format!("{tenant}/"),
        after: Some(format!("{tenant}/{month}~")),
        newest_first: true,
        limit: 1,
    };
    let Some(found) = store.scan(scan).await?.pop() else { return Ok(None) };
    let found: GaugeRecord = decode(&found.key, &found.value)?;
    let (peak, storage_over) = if found.month == month { (found.peak, found.storage_over) } else { (found.now, 0) };
    Ok(Some(GaugeRecord { month, peak, storage_over, ..found }))
}

/// What is kept of a report with this key.
pub async fn kept_report(store: &dyn Store, tenant: TenantId, key: &ReportKey) -> Result<Option<KeptReport>, StoreError> {
    let record = store.get(&kept_key(tenant, key)).await?;
    record.map(|record| decode(&record.key, &record.value)).transpose()
}

fn kept_key(tenant: TenantId, key: &ReportKey) -> Key {
    Key::new(Table::Reported, format!("{tenant}/{:032x}", u128::from_be_bytes(key.key)))
}

fn kept(report: &Report, key: &ReportKey) -> KeptReport {
    let level = match report.what {
        What::Level(_, level, _) => Some(level),
        What::ActiveUser(_) | What::KnownUser => None,
    };
    KeptReport { body: key.body_text(), level, time: report.time }
}

const CURSOR: &str = "reports/";

fn cursor_key(incarnation: u64) -> Key {
    Key::new(Table::Settings, format!("{CURSOR}{incarnation:016x}"))
}

/// Where the next fold of a log begins, and the version of the record that says so.
async fn read_cursor(store: &dyn Store, incarnation: u64) -> Result<(Place, Option<Version>), StoreError> {
    let key = cursor_key(incarnation);
    let Some(record) = store.get(&key).await? else { return Ok((Place::default(), None)) };
    let text = std::str::from_utf8(&record.value).ok();
    let numbers = text.and_then(|text| text.split_once('/'));
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    let place = numbers.and_then(|(sequence, index)| Some(Place { sequence: hex(sequence)?, index: hex(index)? }));
    Ok((place.ok_or_else(|| unreadable(&key))?, Some(record.version)))
}

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Refused(error.to_string()))
}

pub(super) fn decode<T: for<'de> Deserialize<'de>>(key: &Key, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|_| unreadable(key))
}

pub(super) fn unreadable(key: &Key) -> StoreError {
    StoreError::Damaged(format!("the record {:?}/{} cannot be read; restore it from a backup", key.table, key.id))
}
