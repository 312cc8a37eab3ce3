//! Events to the operator's systems: what has happened is told to their endpoints, signed, and again until they have it.
//!
//! An event is part of the commit that writes the audit row of what it tells ([`Outbox`]), and its record says how its delivery
//! goes. What is in memory is made of that at each start, so a process that is killed loses no event; an endpoint may see one
//! twice, under the same `webhook-id`.

mod address;
mod agenda;
mod backoff;
mod courier;
mod desk;
mod forget;
mod lanes;
mod outbox;
mod payload;
mod post;
mod record;
mod signature;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use self::address::Guard;
use self::lanes::Lanes;
use self::outbox::Sequence;
use self::post::Poster;
use crate::config;
use crate::observe::Metrics;
use crate::store::Store;

pub use self::desk::{EventFilter, EventPage, ResendError};
pub use self::forget::forget_old_events;
pub use self::lanes::{EndpointStanding, Seen};
pub use self::outbox::Outbox;
pub use self::record::{Attempt, Delivery, DeliveryState, EventFacts, StoredEvent};

/// Events: their records, and their way to the endpoints.
pub struct Events {
    store: Arc<dyn Store>,
    config: config::Events,
    lanes: Arc<Lanes>,
    poster: Poster,
    metrics: Arc<Metrics>,
    sequence: Sequence,
}

impl Events {
    /// For the endpoints of a configuration. `own`: the gateway's listeners, which no event is sent to.
    pub fn new(store: Arc<dyn Store>, config: &config::Events, own: Vec<SocketAddr>, metrics: Arc<Metrics>) -> Self {
        let lanes = Arc::new(Lanes::new(&config.endpoints));
        metrics.watch_events(config.endpoints.iter().map(|endpoint| endpoint.name.clone()));
        let poster = Poster::new(Guard { allow_private: config.allow_private, own }, config.timeout, &config.endpoints);
        Self { store, config: config.clone(), lanes, poster, metrics, sequence: Sequence::default() }
    }

    /// The store that everybody shall write to: as it is where nobody wants to hear of anything.
    pub fn outbox(&self) -> Arc<dyn Store> {
        if self.config.endpoints.is_empty() {
            return Arc::clone(&self.store);
        }
        Arc::new(Outbox::new(Arc::clone(&self.store), Arc::clone(&self.lanes)))
    }
}
