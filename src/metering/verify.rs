//! Verification: admitted = metered + given back + aborted + in flight, recomputed from every row of the store and every slot of
//! the journal.
//!
//! Only the process that runs may have calls in flight. What an earlier one left open is unexplained, and so is a slot of which
//! the store says more than the journal that it was folded from.

use std::collections::{BTreeMap, HashMap};

use super::fold::{key, latest, stored_pages};
use super::{Journal, JournalError};
use crate::model::{Day, TenantId, Totals};
use crate::store::{Store, StoreError, UsageRow};

/// Rows that are read at once.
const ROWS: usize = 5_000;

/// The sums of one tenant, or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// Days of tenants, one for each process that counted.
    pub slots: u64,
    /// Calls that took a place.
    pub admitted: u64,
    /// Calls that count.
    pub metered: u64,
    /// Places given back.
    pub given_back: u64,
    /// Calls that were in flight when their process died.
    pub aborted: u64,
    /// Calls in flight.
    pub in_flight: u64,
    /// Calls that are in none of these, or in more than one.
    pub unexplained: u64,
    /// Slots of which the store says more than the journal.
    pub ahead: u64,
}

/// Where the counters are that the store may not have.
pub enum Counted<'a> {
    /// The process runs, and this is its journal.
    Live(&'a Journal),
    /// No process runs; this is what the journal's folder holds.
    Left(Vec<UsageRow>),
}

impl Balance {
    /// True where the sums close.
    pub const fn closes(&self) -> bool {
        self.unexplained == 0 && self.ahead == 0
    }

    fn add(&mut self, totals: &Totals, is_live: bool) {
        let ended = totals.metered.saturating_add(totals.given_back).saturating_add(totals.aborted);
        self.slots += 1;
        self.admitted += totals.admitted;
        self.metered += totals.metered;
        self.given_back += totals.given_back;
        self.aborted += totals.aborted;
        match totals.admitted.checked_sub(ended) {
            Some(open) if is_live => self.in_flight += open,
            Some(open) => self.unexplained += open,
            None => self.unexplained += ended - totals.admitted,
        }
    }

    /// The sums of two.
    pub fn plus(mut self, other: &Self) -> Self {
        self.slots += other.slots;
        self.admitted += other.admitted;
        self.metered += other.metered;
        self.given_back += other.given_back;
        self.aborted += other.aborted;
        self.in_flight += other.in_flight;
        self.unexplained += other.unexplained;
        self.ahead += other.ahead;
        self
    }
}

/// The balance of each tenant that has ever counted; of one, where one is asked for.
pub async fn verify(store: &dyn Store, counted: Counted<'_>, only: Option<TenantId>) -> Result<BTreeMap<TenantId, Balance>, StoreError> {
    // The store first: the journal has then counted at least what was folded.
    let mut rows = HashMap::new();
    for row in stored(store, only).await? {
        rows.insert(key(&row), row.totals);
    }
    // A page is older than the row of the same slot.
    for row in stored_pages(store).await?.into_iter().filter(|row| only.is_none_or(|only| only == row.tenant)) {
        rows.entry(key(&row)).or_insert(row.totals);
    }
    let (counted, live) = match counted {
        Counted::Live(journal) => (journal.rows(), Some(journal.incarnation())),
        Counted::Left(rows) => (rows, None),
    };
    let mut balances: BTreeMap<TenantId, Balance> = BTreeMap::new();
    for row in counted.into_iter().filter(|row| only.is_none_or(|only| only == row.tenant)) {
        match rows.insert(key(&row), row.totals) {
            Some(stored) if live.is_some() && is_ahead(&stored, &row.totals) => balances.entry(row.tenant).or_default().ahead += 1,
            // After a power failure the journal may be behind; the start takes the larger counters as well.
            Some(stored) if live.is_none() => drop(rows.insert(key(&row), latest(stored, row.totals))),
            _ => {}
        }
    }
    for ((writer, tenant, _), totals) in rows {
        balances.entry(tenant).or_default().add(&totals, live == Some(writer));
    }
    Ok(balances)
}

/// What the journal's folder holds while no process runs.
pub fn left_rows(dir: &std::path::Path) -> Result<Vec<UsageRow>, JournalError> {
    super::journal::left_rows(dir)
}

async fn stored(store: &dyn Store, only: Option<TenantId>) -> Result<Vec<UsageRow>, StoreError> {
    let (first, last) = (Day(i32::MIN), Day(i32::MAX));
    if let Some(tenant) = only {
        return store.usage(tenant, first..last).await;
    }
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = store.usage_since(first, after, ROWS).await?;
        let Some(last) = page.last() else { return Ok(rows) };
        after = Some(last.tenant);
        rows.extend(page);
    }
}

/// Whether a copy says more than what it was made of.
const fn is_ahead(copy: &Totals, of: &Totals) -> bool {
    copy.admitted > of.admitted || copy.metered > of.metered || copy.given_back > of.given_back || copy.egress > of.egress
}
