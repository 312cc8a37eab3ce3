//! A walk over a whole table of the store, page by page.

use super::TenancyError;
use crate::store::{Record, Scan, Store, Table};

/// Records read at once.
const PAGE: usize = 500;

/// Where the walk has come to.
pub(super) struct Walk {
    table: Table,
    after: Option<String>,
    newest_first: bool,
    ended: bool,
}

impl Walk {
    /// From the first id to the last.
    pub(super) const fn over(table: Table) -> Self {
        Self { table, after: None, newest_first: false, ended: false }
    }

    /// From the last id to the first, or from `before` on.
    pub(super) const fn back_over(table: Table, before: Option<String>) -> Self {
        Self { table, after: before, newest_first: true, ended: false }
    }

    /// The next page; `None` at the end.
    pub(super) async fn next(&mut self, store: &dyn Store) -> Result<Option<Vec<Record>>, TenancyError> {
        if self.ended {
            return Ok(None);
        }
        let after = self.after.take();
        let scan = Scan { table: self.table, prefix: String::new(), after, newest_first: self.newest_first, limit: PAGE };
        let records = store.scan(scan).await?;
        self.ended = records.len() < PAGE;
        self.after = records.last().map(|record| record.key.id.clone());
        Ok(Some(records))
    }
}
