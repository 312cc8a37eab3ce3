//! The endpoints, each with its agenda and how it has been doing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};

use super::agenda::Agenda;
use super::record::{Attempt, StoredEvent};
use crate::clock::instant;
use crate::config::EventEndpoint;
use crate::model::{EventId, EventType, Millis};

/// Look-ups of one endpoint's name at the same time; each holds a thread of the runtime.
const LOOKUPS: usize = 2;

/// All endpoints of the configuration.
pub(super) struct Lanes(Vec<Arc<Lane>>);

/// One endpoint.
pub(super) struct Lane {
    pub endpoint: EventEndpoint,
    pub lookups: Arc<Semaphore>,
    /// There is something new on the agenda.
    pub changed: Notify,
    agenda: Mutex<Agenda>,
    seen: Mutex<Seen>,
}

/// How an endpoint has been doing since the start.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The last event that it took, and when.
    pub last_success: Option<(EventId, Millis)>,
    /// The last attempt that failed.
    pub last_failure: Option<(EventId, Attempt)>,
    /// Whether the last one to end was a failure.
    pub is_failing: bool,
}

/// How an endpoint stands.
#[derive(Debug, Clone)]
pub struct EndpointStanding {
    /// Its name.
    pub name: String,
    /// Where it is, without a query, which may hold a secret.
    pub url: String,
    /// What it wants to hear of.
    pub events: Vec<EventType>,
    /// How many events it is still to get.
    pub pending: usize,
    /// How it has been doing.
    pub seen: Seen,
}

/// Whether an endpoint's luck has turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Fails,
    Recovers,
    Same,
}

impl Lanes {
    pub fn new(endpoints: &[EventEndpoint]) -> Self {
        let lane = |endpoint: &EventEndpoint| Lane {
            endpoint: endpoint.clone(),
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
            changed: Notify::new(),
            agenda: Mutex::default(),
            seen: Mutex::default(),
        };
        Self(endpoints.iter().map(|endpoint| Arc::new(lane(endpoint))).collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Lane>> {
        self.0.iter()
    }

    pub fn find(&self, name: &str) -> Option<&Arc<Lane>> {
        self.0.iter().find(|lane| lane.endpoint.name == name)
    }

    /// The names of those that want to hear of this.
    pub fn wanting(&self, kind: EventType) -> Vec<String> {
        self.0.iter().filter(|lane| lane.endpoint.events.contains(&kind)).map(|lane| lane.endpoint.name.clone()).collect()
    }

    /// Tells those that want them of events that were committed just now.
    pub fn announce(&self, made: &[(EventId, EventType)]) {
        let now = instant();
        for lane in &self.0 {
            let wanted = made.iter().filter(|(_, kind)| lane.endpoint.events.contains(kind));
            wanted.for_each(|(id, _)| lane.push(*id, now));
        }
    }

    /// Puts an event on the agenda of each endpoint that is still to get it; the names of those that are configured no more.
    pub fn resume(&self, id: EventId, event: &StoredEvent, (now, clock): (Instant, Millis), longest: Duration) -> Vec<String> {
        let mut unknown = Vec::new();
        for (name, delivery) in event.facts.deliveries.iter().filter(|(_, delivery)| delivery.is_pending()) {
            let Some(lane) = self.find(name) else {
                unknown.push(name.clone());
                continue;
            };
            let left = delivery.next_at.map_or(0, |at| u64::try_from(at.0 - clock.0).unwrap_or(0));
            // A clock that was set back holds nothing up for longer than the wait was.
            lane.push(id, now + Duration::from_millis(left).min(longest));
        }
        unknown
    }

    /// Whether an event is on the agenda of an endpoint.
    pub fn know(&self, id: EventId) -> bool {
        self.0.iter().any(|lane| lane.agenda().knows(id))
    }
}

impl Lane {
    pub fn agenda(&self) -> MutexGuard<'_, Agenda> {
        // A line is whole at every moment.
        self.agenda.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn push(&self, id: EventId, at: Instant) {
        self.agenda().push(id, at);
        self.changed.notify_one();
    }

    /// Notes how an attempt ended; whether that is another turn than the one before.
    pub fn note(&self, id: EventId, attempt: &Attempt) -> Turn {
        let mut seen = self.seen();
        let fails = attempt.error.is_some();
        if fails {
            seen.last_failure = Some((id, attempt.clone()));
        } else {
            seen.last_success = Some((id, attempt.time));
        }
        match (std::mem::replace(&mut seen.is_failing, fails), fails) {
            (false, true) => Turn::Fails,
            (true, false) => Turn::Recovers,
            _ => Turn::Same,
        }
    }

    pub fn standing(&self) -> EndpointStanding {
        let url = &self.endpoint.url;
        EndpointStanding {
            name: self.endpoint.name.clone(),
            url: url[..url::Position::AfterPath].to_owned(),
            events: self.endpoint.events.clone(),
            pending: self.agenda().len(),
            seen: self.seen().clone(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
