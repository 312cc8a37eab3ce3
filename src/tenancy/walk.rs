//! Walks over a whole table of the store, and over the usage of all tenants, page by page.

use std::collections::VecDeque;

use super::TenancyError;
use crate::model::{Day, TenantId};
use crate::store::{Record, Scan, Store, Table, UsageRow};

/// Records read at once: each page is handed from thread to thread.
const PAGE: usize = 2_000;

/// Where the walk has come to.
pub(super) struct Walk {
    table: Table,
    after: Option<String>,
    newest_first: bool,
    page: usize,
    ended: bool,
}

impl Walk {
    /// From the first id to the last.
    pub(super) const fn over(table: Table) -> Self {
        Self { table, after: None, newest_first: false, page: PAGE, ended: false }
    }

    /// From the first id after `after` on.
    pub(super) const fn over_from(table: Table, after: Option<String>) -> Self {
        Self { table, after, newest_first: false, page: PAGE, ended: false }
    }

    /// From the last id to the first, or from `before` on. The first page has so many records: mostly they are enough.
    pub(super) const fn back_over(table: Table, before: Option<String>, first: usize) -> Self {
        Self { table, after: before, newest_first: true, page: first, ended: false }
    }

    /// The next page; `None` at the end.
    pub(super) async fn next(&mut self, store: &dyn Store) -> Result<Option<Vec<Record>>, TenancyError> {
        if self.ended {
            return Ok(None);
        }
        let after = self.after.take();
        let limit = std::mem::replace(&mut self.page, PAGE);
        let scan = Scan { table: self.table, prefix: String::new(), after, newest_first: self.newest_first, limit };
        let records = store.scan(scan).await?;
        self.ended = records.len() < limit;
        self.after = records.last().map(|record| record.key.id.clone());
        Ok(Some(records))
    }
}

/// Where a walk over usage has come to: it goes along with a walk over tenants, which are in the same order.
pub(super) struct UsageWalk {
    from: Day,
    after: Option<TenantId>,
    rows: VecDeque<UsageRow>,
    ended: bool,
}

impl UsageWalk {
    /// Over all days from `from` on.
    pub(super) const fn since(from: Day) -> Self {
        Self { from, after: None, rows: VecDeque::new(), ended: false }
    }

    /// The rows of `tenant`. The next one to be asked about comes after it.
    pub(super) async fn of(&mut self, tenant: TenantId, store: &dyn Store) -> Result<Vec<UsageRow>, TenancyError> {
        let mut found = Vec::new();
        loop {
            // Rows of tenants before it are of nobody that is asked about.
            while let Some(row) = self.rows.front().filter(|row| row.tenant <= tenant) {
                found.extend((row.tenant == tenant).then_some(*row));
                self.rows.pop_front();
            }
            // A tenant's rows are all on one page.
            if self.ended || !self.rows.is_empty() {
                return Ok(found);
            }
            self.rows = store.usage_since(self.from, self.after, PAGE).await?.into();
            self.ended = self.rows.is_empty();
            self.after = self.rows.back().map(|row| row.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::model::{Millis, Totals};
    use crate::store::memory::Memory;

    #[tokio::test]
    async fn each_tenant_gets_its_own_rows_from_the_first_day_on_whatever_lies_between() {
        let store = Memory::default();
        let tenants: Vec<TenantId> = (0..30).map(|at| TenantId::new(Millis(at))).collect();
        let row = |at: usize, day: i32| UsageRow { writer: 1, tenant: tenants[at], day: Day(day), totals: Totals::default() };
        let mut rows: Vec<UsageRow> = (0..30).filter(|at| at % 5 != 0).flat_map(|at| [row(at, 9), row(at, 10), row(at, 400)]).collect();
        // More than a page of one tenant.
        rows.extend((401..401 + PAGE as i32).map(|day| row(7, day)));
        store.add_usage(rows.clone()).await.unwrap();
        let mut usage = UsageWalk::since(Day(10));
        for (at, tenant) in tenants.iter().enumerate().filter(|(at, _)| at % 3 != 0) {
            let mut expected: Vec<UsageRow> = rows.iter().filter(|row| row.tenant == *tenant && row.day >= Day(10)).copied().collect();
            expected.sort_by_key(|row| row.day);
            assert_eq!(usage.of(*tenant, &store).await.unwrap(), expected, "tenant {at}");
        }
    }
}
