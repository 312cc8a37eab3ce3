//! What operators ask for: which events there are, how they went, and that one is sent again.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::payload;
use super::record::{Delivery, DeliveryState, EventFacts, StoredEvent};
use super::{EndpointStanding, Events};
use crate::clock::{Clock, SystemClock, instant};
use crate::model::{EventId, EventType, TenantId};
use crate::store::{AuditRow, Scan, StoreError, Table, Tx};

/// Records read at once.
const PAGE: usize = 200;

/// Which events are listed.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventFilter {
    /// Only this type.
    pub kind: Option<EventType>,
    /// Only those of this tenant.
    pub tenant_id: Option<TenantId>,
    /// Only those that stand like this as a whole.
    pub state: Option<DeliveryState>,
}

/// A page of a list.
#[derive(Debug)]
pub struct EventPage {
    /// Newest first.
    pub items: Vec<(EventId, StoredEvent)>,
    /// Where the next one begins; none on the last.
    pub next: Option<EventId>,
}

/// Why an event is not sent again.
#[derive(Debug, thiserror::Error)]
pub enum ResendError {
    /// There is none with this id.
    #[error("there is no such event; those of the last 30 days are kept")]
    NoEvent,
    /// The configuration has no such endpoint.
    #[error("there is no endpoint `{0}` in the configuration")]
    NoEndpoint(String),
    /// None of those that it was for is configured any more.
    #[error("none of the endpoints that it was for is in the configuration any more; name another one")]
    NobodyLeft,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Events {
    /// One event.
    pub async fn get(&self, id: EventId) -> Result<Option<StoredEvent>, StoreError> {
        Ok(self.read(id).await?.map(|(_, event)| event))
    }

    /// A page of events, newest first. `after` is what the page before said.
    pub async fn list(&self, filter: EventFilter, after: Option<EventId>, limit: usize) -> Result<EventPage, StoreError> {
        let mut items: Vec<(EventId, StoredEvent)> = Vec::new();
        let mut after = after.map(|id| id.to_string());
        loop {
            let scan = Scan { table: Table::Events, prefix: String::new(), after, newest_first: true, limit: PAGE };
            let records = self.store.scan(scan).await?;
            for record in &records {
                let Ok(id) = record.key.id.parse::<EventId>() else { continue };
                let event = StoredEvent::decode(record)?;
                if !filter.admits(&event) {
                    continue;
                }
                if items.len() == limit {
                    return Ok(EventPage { next: items.last().map(|(id, _)| *id), items });
                }
                items.push((id, event));
            }
            if records.len() < PAGE {
                return Ok(EventPage { items, next: None });
            }
            after = records.last().map(|record| record.key.id.clone());
        }
    }

    /// How each endpoint stands.
    pub fn endpoints(&self) -> Vec<EndpointStanding> {
        self.lanes.iter().map(|lane| lane.standing()).collect()
    }

    /// Sends an event once more, under the same id: to this endpoint, or to all that it was for. `audit` makes the row that tells of it.
    pub async fn resend(
        &self,
        id: EventId,
        endpoint: Option<&str>,
        audit: impl Fn(&StoredEvent, &[String]) -> AuditRow,
    ) -> Result<StoredEvent, ResendError> {
        let event = self.get(id).await?.ok_or(ResendError::NoEvent)?;
        let names: Vec<String> = match endpoint {
            Some(name) if self.lanes.find(name).is_some() => vec![name.to_owned()],
            Some(name) => return Err(ResendError::NoEndpoint(name.to_owned())),
            None => event.facts.deliveries.keys().filter(|name| self.lanes.find(name).is_some()).cloned().collect(),
        };
        if names.is_empty() {
            return Err(ResendError::NobodyLeft);
        }
        let again = |event: &mut StoredEvent| {
            for name in &names {
                event.facts.deliveries.entry(name.clone()).and_modify(Delivery::begin_again).or_insert_with(Delivery::at_once);
            }
        };
        let with = |event: &StoredEvent| Tx { audit: vec![audit(event, &names)], ..Tx::default() };
        let event = self.change_with(id, again, with).await?.ok_or(ResendError::NoEvent)?;
        self.push(id, &names);
        Ok(event)
    }

    /// Sends an event that says nothing, to see whether an endpoint works.
    pub async fn test(&self, endpoint: &str, audit: impl FnOnce(EventId) -> AuditRow) -> Result<(EventId, StoredEvent), ResendError> {
        if self.lanes.find(endpoint).is_none() {
            return Err(ResendError::NoEndpoint(endpoint.to_owned()));
        }
        let time = SystemClock.now();
        let data = Map::from_iter([("endpoint".to_owned(), Value::from(endpoint))]);
        let deliveries = BTreeMap::from([(endpoint.to_owned(), Delivery::at_once())]);
        let facts = EventFacts { kind: EventType::TestPing, tenant_id: None, time, deliveries };
        let event = StoredEvent { body: payload::body(EventType::TestPing, time, &data)?, facts };
        let id = self.sequence.id(time);
        let puts = vec![(StoredEvent::key(id), event.encode()?), (StoredEvent::queue_key(id), Vec::new())];
        self.store.commit(Tx { puts, audit: vec![audit(id)], ..Tx::default() }).await?;
        self.push(id, &[endpoint.to_owned()]);
        Ok((id, event))
    }

    fn push(&self, id: EventId, names: &[String]) {
        names.iter().filter_map(|name| self.lanes.find(name)).for_each(|lane| lane.push(id, instant()));
    }
}

impl EventFilter {
    fn admits(&self, event: &StoredEvent) -> bool {
        self.kind.is_none_or(|kind| kind == event.facts.kind)
            && self.tenant_id.is_none_or(|tenant| Some(tenant) == event.facts.tenant_id)
            && self.state.is_none_or(|state| state == event.state())
    }
}
