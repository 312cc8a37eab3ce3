//! Forgetting: events that are done with are kept for 30 days.

use super::record::StoredEvent;
use crate::model::Millis;
use crate::store::{Precondition, Scan, Store, StoreError, Table, Tx};

/// How long an event can be looked up and sent again.
const KEPT_DAYS: i64 = 30;
/// Records read and removed at once.
const PAGE: usize = 500;

/// Removes what is older; how many. Ids sort by time, so that it reads no more than that and what is pending for long.
pub async fn forget_old_events(store: &dyn Store, now: Millis) -> Result<usize, StoreError> {
    let oldest = now.plus_days(-KEPT_DAYS);
    let (mut count, mut after) = (0, None);
    loop {
        let scan = Scan { table: Table::Events, prefix: String::new(), after, newest_first: false, limit: PAGE };
        let records = store.scan(scan).await?;
        let mut tx = Tx::default();
        let mut ended = records.len() < PAGE;
        for record in &records {
            let event = StoredEvent::decode(record)?;
            if event.facts.time >= oldest {
                ended = true;
                break;
            }
            if !event.is_pending() {
                tx.preconditions.push(Precondition::Unchanged(record.key.clone(), record.version));
                tx.deletes.push(record.key.clone());
            }
        }
        if !tx.deletes.is_empty() {
            let removed = tx.deletes.len();
            match store.commit(tx).await {
                Ok(_) => count += removed,
                // One of them is sent again just now; tomorrow is another day.
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if ended {
            return Ok(count);
        }
        after = records.last().map(|record| record.key.id.clone());
    }
}
