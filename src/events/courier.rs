//! Deliveries: each endpoint has a few places of its own, so that one that is slow or gone holds up no other.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio::time::{Instant as TokioInstant, sleep, sleep_until};

use super::lanes::{Lane, Turn};
use super::record::{Delivery, DeliveryState, Ended, StoredEvent};
use super::{Events, backoff};
use crate::clock::{Clock, SystemClock, instant};
use crate::model::EventId;
use crate::observe::EventOutcome;
use crate::store::{Precondition, Record, Scan, StoreError, Table, Tx, Version};

/// Attempts at one endpoint at the same time. Events start in order; which of these arrives first, the network says.
const AT_ONCE: usize = 8;
/// How long a store that fails is left alone.
const PAUSE: Duration = Duration::from_secs(5);
/// How often the queue is looked through for what nobody was told of: a commit whose outcome the store did not know.
const REVIEW: Duration = Duration::from_secs(600);
/// Of the queue, read at once.
const PAGE: usize = 500;

impl Events {
    /// Delivers for ever. Begins with what the store has.
    pub async fn run(self: Arc<Self>) {
        self.lanes.iter().for_each(|lane| lane.agenda().clear());
        self.review().await;
        let mut lanes = JoinSet::new();
        for lane in self.lanes.iter() {
            lanes.spawn(Arc::clone(&self).serve(Arc::clone(lane)));
        }
        loop {
            tokio::select! {
                () = sleep(REVIEW) => self.review().await,
                Some(ended) = lanes.join_next(), if !lanes.is_empty() => {
                    if let Err(error) = ended && error.is_panic() {
                        std::panic::resume_unwind(error.into_panic());
                    }
                }
            }
        }
    }

    /// Puts everything that is pending on the agendas, and gives up what is for endpoints that are configured no more.
    async fn review(&self) {
        while let Err(error) = self.try_review().await {
            tracing::warn!(%error, "the queue of events cannot be read");
            sleep(PAUSE).await;
        }
    }

    async fn try_review(&self) -> Result<(), StoreError> {
        let (now, longest) = ((instant(), SystemClock.now()), self.longest_wait());
        let mut after = None;
        loop {
            let scan = Scan { table: Table::EventQueue, prefix: String::new(), after, newest_first: false, limit: PAGE };
            let queued = self.store.scan(scan).await?;
            for entry in &queued {
                let Ok(id) = entry.key.id.parse::<EventId>() else { continue };
                if self.lanes.know(id) {
                    continue;
                }
                let Some((_, event)) = self.read(id).await? else { continue };
                let unknown = self.lanes.resume(id, &event, now, longest);
                if !unknown.is_empty() {
                    tracing::warn!(event = %id, endpoints = ?unknown, "an event is not delivered: its endpoint is configured no more");
                    self.change(id, |event| give_up(event, &unknown)).await?;
                }
            }
            if queued.len() < PAGE {
                return Ok(());
            }
            after = queued.last().map(|entry| entry.key.id.clone());
        }
    }

    fn longest_wait(&self) -> Duration {
        let longest = self.config.retry.iter().max().copied().unwrap_or_default();
        backoff::LONGEST_ASKED.max(longest.mul_f64(1.0 + backoff::JITTER))
    }

    /// One endpoint's deliveries.
    async fn serve(self: Arc<Self>, lane: Arc<Lane>) {
        let mut running = JoinSet::new();
        loop {
            let next = loop {
                let mut agenda = lane.agenda();
                if running.len() >= AT_ONCE {
                    break None;
                }
                match agenda.take(instant()) {
                    Some(id) => _ = running.spawn(Arc::clone(&self).deliver(Arc::clone(&lane), id)),
                    None => break agenda.next(),
                }
            };
            self.metrics.events_pending(&lane.endpoint.name, lane.agenda().len());
            tokio::select! {
                () = lane.changed.notified() => {}
                () = until(next) => {}
                Some(_) = running.join_next(), if !running.is_empty() => {}
            }
        }
    }

    /// One attempt at one event, whatever comes of it.
    async fn deliver(self: Arc<Self>, lane: Arc<Lane>, id: EventId) {
        let outcome = AssertUnwindSafe(self.attempt(&lane, id)).catch_unwind().await;
        let wait = match outcome {
            Ok(Ok(wait)) => wait,
            Ok(Err(error)) => {
                tracing::warn!(event = %id, endpoint = lane.endpoint.name, %error, "an event cannot be read");
                Some(PAUSE)
            }
            Err(_) => Some(PAUSE),
        };
        let now = instant();
        lane.agenda().ended(id, wait.map(|wait| now + wait), now);
    }

    /// One attempt; how long the next one waits, where there is one.
    async fn attempt(&self, lane: &Lane, id: EventId) -> Result<Option<Duration>, StoreError> {
        let name = &lane.endpoint.name;
        let Some((_, event)) = self.read(id).await? else { return Ok(None) };
        let Some(delivery) = event.facts.deliveries.get(name).filter(|delivery| delivery.is_pending()) else { return Ok(None) };
        let round = delivery.round;
        let ended = self.poster.attempt(&lane.endpoint, &lane.lookups, id, event.body.clone()).await;
        let wait = self.note(lane, id, &ended, round).await;
        let turn = lane.note(id, &ended.attempt);
        let error = ended.attempt.error.as_deref().unwrap_or_default();
        match turn {
            Turn::Fails => tracing::warn!(endpoint = name, event = %id, error, "an endpoint does not take events"),
            Turn::Recovers => tracing::info!(endpoint = name, "an endpoint takes events again"),
            Turn::Same => {}
        }
        let outcome = match (ended.attempt.error.is_none(), wait) {
            (true, _) => EventOutcome::Delivered,
            (false, Some(_)) => EventOutcome::Retried,
            (false, None) => {
                tracing::warn!(endpoint = name, event = %id, kind = %event.facts.kind, error, "an event is given up; it can be sent again");
                EventOutcome::Failed
            }
        };
        self.metrics.event_delivery(name, outcome);
        Ok(wait)
    }

    /// Writes down how an attempt ended: until that is done nothing else is sent from its place, because nobody would remember it.
    async fn note(&self, lane: &Lane, id: EventId, ended: &Ended, round: u32) -> Option<Duration> {
        let (name, chance) = (&lane.endpoint.name, fastrand::f64());
        let mut failing = false;
        loop {
            let mut wait = None;
            let settle = |event: &mut StoredEvent| {
                let delivery = event.facts.deliveries.get_mut(name);
                wait = delivery.and_then(|delivery: &mut Delivery| delivery.settle(ended.clone(), round, &self.config.retry, chance));
            };
            match self.change(id, settle).await {
                Ok(_) => return wait,
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(event = %id, endpoint = name, %error, "how a delivery went cannot be stored yet");
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// An event with its version.
    pub(super) async fn read(&self, id: EventId) -> Result<Option<(Version, StoredEvent)>, StoreError> {
        let record: Option<Record> = self.store.get(&StoredEvent::key(id)).await?;
        record.map(|record| Ok((record.version, StoredEvent::decode(&record)?))).transpose()
    }

    /// Changes an event as it stands by then; none where there is no such event.
    pub(super) async fn change(&self, id: EventId, change: impl FnMut(&mut StoredEvent)) -> Result<Option<StoredEvent>, StoreError> {
        self.change_with(id, change, |_| Tx::default()).await
    }

    /// The same, with something else in the same commit.
    pub(super) async fn change_with(
        &self,
        id: EventId,
        mut change: impl FnMut(&mut StoredEvent),
        with: impl Fn(&StoredEvent) -> Tx,
    ) -> Result<Option<StoredEvent>, StoreError> {
        loop {
            let Some((version, mut event)) = self.read(id).await? else { return Ok(None) };
            change(&mut event);
            let mut tx = with(&event);
            tx.preconditions.push(Precondition::Unchanged(StoredEvent::key(id), version));
            tx.puts.push((StoredEvent::key(id), event.encode()?));
            if event.is_pending() {
                tx.puts.push((StoredEvent::queue_key(id), Vec::new()));
            } else {
                tx.deletes.push(StoredEvent::queue_key(id));
            }
            match self.store.commit(tx).await {
                Ok(_) => return Ok(Some(event)),
                // Another endpoint's attempt has ended meanwhile.
                Err(StoreError::Conflict(key)) if key == StoredEvent::key(id) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn give_up(event: &mut StoredEvent, endpoints: &[String]) {
    for name in endpoints {
        if let Some(delivery) = event.facts.deliveries.get_mut(name).filter(|delivery| delivery.state == DeliveryState::Pending) {
            delivery.give_up("the endpoint is not in the configuration any more");
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(TokioInstant::from_std(at)).await,
        None => std::future::pending().await,
    }
}
