//! Forgetting: idempotency keys of reports and records of alerts are kept for 400 days, longer than any invoice stays open.

use serde_json::Value;

use super::TenancyError;
use super::walk::Walk;
use crate::model::Millis;
use crate::store::{Precondition, Store, Table, Tx};

/// How long a key makes sure that a report is not taken again.
const KEPT_DAYS: i64 = 400;

/// Removes what is older; how many records. For a job that runs once a day, because it reads all of them.
pub async fn forget_old(store: &dyn Store, now: Millis) -> Result<usize, TenancyError> {
    let oldest = now.plus_days(-KEPT_DAYS).0;
    let mut count = 0;
    for table in [Table::Reported, Table::Alerts] {
        let mut walk = Walk::over(table);
        while let Some(records) = walk.next(store).await? {
            let time = |value: &[u8]| serde_json::from_slice::<Value>(value).ok().and_then(|value| value["time"].as_i64());
            let old = records.into_iter().filter(|record| time(&record.value).is_some_and(|time| time < oldest));
            let mut tx = Tx::default();
            for record in old {
                tx.preconditions.push(Precondition::Unchanged(record.key.clone(), record.version));
                tx.deletes.push(record.key);
            }
            if !tx.deletes.is_empty() {
                count += tx.deletes.len();
                store.commit(tx).await?;
            }
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::Key;
    use crate::store::memory::Memory;

    #[tokio::test]
    async fn what_is_older_than_400_days_goes_and_nothing_else() {
        let (store, now) = (Memory::default(), Millis(1_795_608_000_000));
        let records = [Table::Reported, Table::Alerts].into_iter().flat_map(|table| [0, 399, 401].map(|age| (table, age)));
        let records: Vec<(Key, i64)> = records.map(|(table, age)| (Key::new(table, format!("t/{age}")), age)).collect();
        for (key, age) in &records {
            let value = serde_json::json!({"time": now.plus_days(-age)}).to_string().into_bytes();
            store.commit(Tx { puts: vec![(key.clone(), value)], ..Tx::default() }).await.unwrap();
        }
        assert_eq!(forget_old(&store, now).await.unwrap(), 2);
        for (key, age) in &records {
            assert_eq!(store.get(key).await.unwrap().is_some(), *age < 400, "{key:?}");
        }
    }
}
