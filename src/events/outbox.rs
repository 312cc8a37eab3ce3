//! The store as everybody writes to it: whoever commits a row of the audit log commits the event that it stands for as well.
//!
//! So no code path can forget an event, none is told of what did not happen, and none is lost once it has: the event is in the
//! store exactly when what it tells of is.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::lanes::Lanes;
use super::payload;
use super::record::{Delivery, EventFacts, StoredEvent};
use crate::model::{Day, EventId, EventType, Millis, TenantId};
use crate::store::{AuditRow, Changed, Committed, Key, Record, Scan, Snapshot, Store, StoreError, Tx, UsageRow, Version};

/// A store that adds events to what is committed, and tells the lanes of them.
pub struct Outbox {
    inner: Arc<dyn Store>,
    lanes: Arc<Lanes>,
    sequence: Sequence,
}

impl Outbox {
    pub(super) fn new(inner: Arc<dyn Store>, lanes: Arc<Lanes>) -> Self {
        Self { inner, lanes, sequence: Sequence::default() }
    }

    /// Adds the event of every row that an endpoint wants to hear of; which ones.
    fn add_events(&self, tx: &mut Tx) -> Result<Vec<(EventId, EventType)>, StoreError> {
        let mut made = Vec::new();
        for row in &tx.audit {
            let Some((kind, names)) = self.wanted(row) else { continue };
            let deliveries = names.into_iter().map(|name| (name, Delivery::at_once())).collect();
            let facts = EventFacts { kind, tenant_id: row.tenant_id, time: row.time, deliveries };
            let event = StoredEvent { body: payload::of_row(kind, row)?, facts };
            let id = self.sequence.id(row.time);
            tx.puts.push((StoredEvent::key(id), event.encode()?));
            tx.puts.push((StoredEvent::queue_key(id), Vec::new()));
            made.push((id, kind));
        }
        Ok(made)
    }

    /// What a row stands for and who wants to hear of it, where somebody does.
    fn wanted(&self, row: &AuditRow) -> Option<(EventType, Vec<String>)> {
        let kind = EventType::of_action(&row.action)?;
        let names = self.lanes.wanting(kind);
        (!names.is_empty()).then_some((kind, names))
    }
}

/// Makes ids that sort as their events were made, also within a millisecond.
#[derive(Debug, Default)]
pub(super) struct Sequence(AtomicU32);

impl Sequence {
    /// Time, then a count of 26 bits, then what is random (RFC 9562, section 6.2, method 1).
    pub fn id(&self, time: Millis) -> EventId {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        let mut octets = EventId::new(time).to_bytes();
        let [high, low] = (((count >> 14) & 0xfff) as u16 | 0x7000).to_be_bytes();
        (octets[6], octets[7]) = (high, low);
        let [high, low] = ((count & 0x3fff) as u16 | 0x8000).to_be_bytes();
        (octets[8], octets[9]) = (high, low);
        EventId::from_bytes(octets)
    }
}

#[async_trait]
impl Store for Outbox {
    async fn commit(&self, mut tx: Tx) -> Result<Committed, StoreError> {
        let made = self.add_events(&mut tx)?;
        if made.is_empty() {
            return self.inner.commit(tx).await;
        }
        let (inner, lanes) = (Arc::clone(&self.inner), Arc::clone(&self.lanes));
        // To its end, also where the caller goes away meanwhile: what is committed is announced.
        let task = tokio::spawn(async move {
            let committed = inner.commit(tx).await?;
            lanes.announce(&made);
            Ok(committed)
        });
        task.await.map_err(|error| StoreError::Unavailable(format!("the commit was cut off: {error}")))?
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.inner.get(key).await
    }

    async fn get_all(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.inner.get_all(keys).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Record>, StoreError> {
        self.inner.scan(scan).await
    }

    async fn add_usage(&self, rows: Vec<UsageRow>) -> Result<(), StoreError> {
        self.inner.add_usage(rows).await
    }

    async fn usage(&self, tenant: TenantId, days: Range<Day>) -> Result<Vec<UsageRow>, StoreError> {
        self.inner.usage(tenant, days).await
    }

    async fn usage_since(&self, from: Day, after: Option<TenantId>, limit: usize) -> Result<Vec<UsageRow>, StoreError> {
        self.inner.usage_since(from, after, limit).await
    }

    async fn lease(&self, name: &str, holder: &str, now: Millis, ttl: Duration) -> Result<bool, StoreError> {
        self.inner.lease(name, holder, now, ttl).await
    }

    async fn changes(&self, since: Version, limit: usize) -> Result<Vec<Changed>, StoreError> {
        self.inner.changes(since, limit).await
    }

    async fn version(&self) -> Result<Version, StoreError> {
        self.inner.version().await
    }

    async fn export(&self) -> Result<Snapshot, StoreError> {
        self.inner.export().await
    }

    async fn import(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.inner.import(snapshot).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_millisecond_sort_as_they_were_made_and_are_of_version_7() {
        let sequence = Sequence::default();
        let ids: Vec<EventId> = (0..20_000).map(|_| sequence.id(Millis(1_700_000_000_000))).collect();
        assert!(ids.is_sorted_by(|one, two| one < two));
        assert!(sequence.id(Millis(1_699_999_999_999)) < ids[0] && sequence.id(Millis(1_700_000_000_001)) > ids[19_999]);
        for id in ids.iter().step_by(999) {
            let uuid = uuid::Uuid::from_bytes(id.to_bytes());
            assert_eq!((uuid.get_version_num(), uuid.get_variant()), (7, uuid::Variant::RFC4122));
        }
    }
}
