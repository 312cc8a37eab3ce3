//! The fold: writes what the journal counted to the store, cumulative, so that writing twice changes nothing.
//!
//! While a day goes on its slots are stored as pages, which cost little and are there for the case that the journal is lost.
//! When a segment's days are over they become rows, one for each tenant and day, and the pages go.

use std::collections::HashMap;

use super::Journal;
use super::journal::page;
use crate::model::{Day, TenantId, Totals};
use crate::store::{Key, Scan, Store, StoreError, Table, Tx, UsageRow};

/// The fold failed; nothing is lost, the next one writes the same values or later ones.
pub type FoldError = StoreError;

/// Rows in one call of the store.
pub(super) const BATCH: usize = 1_000;
/// Pages of one commit; about as many octets as the store writes at once.
const PAGES: usize = 32;
/// Pages that are removed, or read, at once.
const KEYS: usize = 500;

/// Writes what changed since the last fold, and says what that was; the first one tells what was recovered at the start as well.
///
/// Folds take turns. A fold that fails half-way has durably written the batches before, and only those.
pub async fn fold(journal: &Journal, store: &dyn Store) -> Result<Vec<UsageRow>, FoldError> {
    let _turn = journal.fold_turn().await;
    let changes = journal.changes();
    let mut changed = journal.recovered();
    for batch in changes.pages.chunks(PAGES) {
        store.commit(Tx { puts: batch.iter().map(|change| change.what.record()).collect(), ..Tx::default() }).await?;
        // Only what the store has acknowledged counts as stored; a fold cancelled before this line writes it again.
        changed.extend(batch.iter().flat_map(|change| change.acknowledge()));
    }
    for batch in changes.rows.chunks(BATCH) {
        store.add_usage(batch.iter().map(|change| change.what.1).collect()).await?;
        changed.extend(batch.iter().flat_map(|change| change.acknowledge()));
    }
    remove_pages(journal, store).await?;
    Ok(changed)
}

/// Removes pages whose slots are rows by now.
async fn remove_pages(journal: &Journal, store: &dyn Store) -> Result<(), StoreError> {
    loop {
        let keys: Vec<Key> = {
            let mut gone = journal.gone();
            let rest = gone.len().saturating_sub(KEYS);
            gone.drain(rest..).collect()
        };
        if keys.is_empty() {
            return Ok(());
        }
        // Pages that stay after a failure are settled at the next start; they say nothing that the rows do not.
        store.commit(Tx { deletes: keys, ..Tx::default() }).await?;
    }
}

/// Brings the final values of processes that are gone to the store: what their journal still says, and what only pages say.
/// After a power failure either may be newer, so that the larger of each counter counts; what was in flight is aborted.
pub(super) async fn settle(store: &dyn Store, left: &[UsageRow]) -> Result<(), StoreError> {
    let mut rows: HashMap<_, _> = left.iter().map(|row| (key(row), *row)).collect();
    for page in stored_pages(store).await? {
        match rows.get_mut(&key(&page)) {
            Some(row) => row.totals = latest(row.totals, page.totals),
            None if is_news(store, &page).await? => drop(rows.insert(key(&page), UsageRow { totals: ended(page.totals), ..page })),
            None => {}
        }
    }
    let mut rows: Vec<UsageRow> = rows.into_values().collect();
    rows.sort_unstable_by_key(|row| (row.tenant, row.day, row.writer));
    for batch in rows.chunks(BATCH) {
        store.add_usage(batch.to_vec()).await?;
    }
    forget_pages(store).await
}

/// The newest counters of a slot of which there are two copies.
pub(super) fn latest(one: Totals, other: Totals) -> Totals {
    ended(one.highest(&other))
}

pub(super) const fn key(row: &UsageRow) -> (u64, TenantId, Day) {
    (row.writer, row.tenant, row.day)
}

/// Removes all pages, whose slots are rows by now.
async fn forget_pages(store: &dyn Store) -> Result<(), StoreError> {
    loop {
        let scan = Scan { table: Table::UsagePages, prefix: String::new(), after: None, newest_first: false, limit: KEYS };
        let pages = store.scan(scan).await?;
        if pages.is_empty() {
            return Ok(());
        }
        store.commit(Tx { deletes: pages.into_iter().map(|record| record.key).collect(), ..Tx::default() }).await?;
    }
}

/// The slots that are stored as pages.
pub(super) async fn stored_pages(store: &dyn Store) -> Result<Vec<UsageRow>, StoreError> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let pages = store.scan(Scan { table: Table::UsagePages, prefix: String::new(), after, newest_first: false, limit: KEYS }).await?;
        for record in &pages {
            rows.extend(page::decode(&record.key, &record.value)?);
        }
        let Some(last) = pages.last() else { return Ok(rows) };
        after = Some(last.key.id.clone());
    }
}

/// True where there is no row of a slot. One that is there is newer than any page: pages are not written any more after it.
async fn is_news(store: &dyn Store, row: &UsageRow) -> Result<bool, StoreError> {
    let stored = store.usage(row.tenant, row.day..row.day.next()).await?;
    Ok(stored.iter().all(|stored| stored.writer != row.writer))
}

/// The counters of a process that is gone.
const fn ended(totals: Totals) -> Totals {
    let aborted = totals.admitted.saturating_sub(totals.metered).saturating_sub(totals.given_back);
    Totals { aborted, ..totals }
}
