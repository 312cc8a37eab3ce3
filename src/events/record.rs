//! An event as it is stored: the body as every attempt sends it, byte for byte, and how its delivery goes, endpoint by endpoint.
//!
//! `{"event":<body>,"facts":<facts>}`. The body is cut out of the record as it stands and never written anew.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::backoff;
use crate::model::{EventId, EventType, Millis, TenantId};
use crate::store::{Key, Record, StoreError, Table};

/// Attempts that are kept for each endpoint.
const KEPT_ATTEMPTS: usize = 20;
/// Octets of what is kept beside the body; beyond them only the newest attempts are, without their answers.
const MOST_FACTS: usize = 512 * 1024;
const LEAN_ATTEMPTS: usize = 3;
const HEAD: &[u8] = b"{\"event\":";
const MIDDLE: &[u8] = b",\"facts\":";

/// An event and what has become of it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// What is sent: `{"type", "timestamp", "data"}`.
    pub body: Bytes,
    /// What is known of it.
    pub facts: EventFacts,
}

/// What is known of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventFacts {
    /// What has happened.
    pub kind: EventType,
    /// To whom.
    pub tenant_id: Option<TenantId>,
    /// When: the time of the audit row.
    pub time: Millis,
    /// By the endpoint's name.
    pub deliveries: BTreeMap<String, Delivery>,
}

/// How an event gets to one endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Where it has come to.
    pub state: DeliveryState,
    /// Attempts that failed, since the event or since it was last sent again on request.
    #[serde(default)]
    pub failures: u32,
    /// How often it was sent again on request: an attempt that began before does not end what was asked for since.
    #[serde(default)]
    pub round: u32,
    /// When it is tried next; none is at once, where it is pending.
    #[serde(default)]
    pub next_at: Option<Millis>,
    /// The last attempts, oldest first.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// Why it was given up without an attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<String>,
}

/// Where a delivery has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is tried, now or later.
    Pending,
    /// The endpoint has it.
    Delivered,
    /// It is not tried any more.
    Failed,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// When it began.
    pub time: Millis,
    /// The status of the answer, where one came.
    pub status: Option<u16>,
    /// Why it failed; none where it did not.
    pub error: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
    /// How the body of an answer begins that is a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

impl DeliveryState {
    /// As JSON writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

impl StoredEvent {
    /// Where it is stored.
    pub fn key(id: EventId) -> Key {
        Key::new(Table::Events, id.to_string())
    }

    /// Where it is found while something is pending.
    pub(super) fn queue_key(id: EventId) -> Key {
        Key::new(Table::EventQueue, id.to_string())
    }

    /// Its record.
    pub fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let text = |facts: &EventFacts| serde_json::to_vec(facts).map_err(|error| StoreError::Refused(format!("an event: {error}")));
        let mut facts = text(&self.facts)?;
        if facts.len() > MOST_FACTS {
            let mut lean = self.facts.clone();
            lean.deliveries.values_mut().for_each(Delivery::keep_little);
            facts = text(&lean)?;
        }
        Ok([HEAD, &self.body, MIDDLE, &facts, b"}"].concat())
    }

    /// Reads a record.
    pub fn decode(record: &Record) -> Result<Self, StoreError> {
        let damaged = || {
            let text = format!("the record {:?}/{} cannot be read; restore it from a backup", record.key.table, record.key.id);
            StoreError::Damaged(text)
        };
        let rest = record.value.strip_prefix(HEAD).ok_or_else(damaged)?;
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        values.next().and_then(Result::ok).ok_or_else(damaged)?;
        let (body, rest) = rest.split_at_checked(values.byte_offset()).ok_or_else(damaged)?;
        let facts = rest.strip_prefix(MIDDLE).and_then(|rest| rest.strip_suffix(b"}")).ok_or_else(damaged)?;
        let facts = serde_json::from_slice(facts).map_err(|_| damaged())?;
        Ok(Self { body: Bytes::copy_from_slice(body), facts })
    }

    /// Whether an endpoint is still to get it.
    pub fn is_pending(&self) -> bool {
        self.facts.deliveries.values().any(Delivery::is_pending)
    }

    /// How it stands as a whole: pending while an endpoint is to get it, failed where one never got it.
    pub fn state(&self) -> DeliveryState {
        let has = |state| self.facts.deliveries.values().any(|delivery| delivery.state == state);
        [DeliveryState::Pending, DeliveryState::Failed].into_iter().find(|state| has(*state)).unwrap_or(DeliveryState::Delivered)
    }
}

impl Delivery {
    /// To be tried at once.
    pub const fn at_once() -> Self {
        Self { state: DeliveryState::Pending, failures: 0, round: 0, next_at: None, attempts: Vec::new(), given_up: None }
    }

    /// To be tried at once, though it has ended or waits.
    pub fn begin_again(&mut self) {
        (self.state, self.failures, self.next_at, self.given_up) = (DeliveryState::Pending, 0, None, None);
        self.round = self.round.saturating_add(1);
    }

    /// Whether it is tried, now or later.
    pub fn is_pending(&self) -> bool {
        self.state == DeliveryState::Pending
    }

    /// It is not tried any more.
    pub fn give_up(&mut self, why: &str) {
        (self.state, self.next_at, self.given_up) = (DeliveryState::Failed, None, Some(why.to_owned()));
    }

    fn keep_little(&mut self) {
        let surplus = self.attempts.len().saturating_sub(LEAN_ATTEMPTS);
        self.attempts.drain(..surplus);
        self.attempts.iter_mut().for_each(|attempt| attempt.answer = None);
    }

    /// What an attempt means for it, that began in `round`; how long the next one waits, where there is one.
    pub(super) fn settle(&mut self, ended: Ended, round: u32, retry: &[Duration], chance: f64) -> Option<Duration> {
        let Ended { attempt, is_final, asked } = ended;
        let (is_success, end) = (attempt.error.is_none(), attempt.time.plus(Duration::from_millis(attempt.duration_ms)));
        self.attempts.push(attempt);
        let surplus = self.attempts.len().saturating_sub(KEPT_ATTEMPTS);
        self.attempts.drain(..surplus);
        if self.round != round {
            return self.is_pending().then_some(Duration::ZERO);
        }
        self.next_at = None;
        if is_success {
            (self.state, self.failures) = (DeliveryState::Delivered, 0);
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        match backoff::wait(retry, self.failures, asked, chance).filter(|_| !is_final) {
            Some(wait) => {
                (self.state, self.next_at) = (DeliveryState::Pending, Some(end.plus(wait)));
                Some(wait)
            }
            None => {
                self.state = DeliveryState::Failed;
                None
            }
        }
    }
}

/// An attempt that has ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ended {
    /// What is kept of it.
    pub attempt: Attempt,
    /// The endpoint wants no further one.
    pub is_final: bool,
    /// How long the endpoint asks to wait.
    pub asked: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Version;

    const RETRY: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(100)];

    fn ended(error: Option<&str>) -> Ended {
        let attempt = Attempt { time: Millis(1_000), status: None, error: error.map(str::to_owned), duration_ms: 500, answer: None };
        Ended { attempt, is_final: false, asked: None }
    }

    fn event(body: &str) -> StoredEvent {
        let deliveries = BTreeMap::from([("crm".to_owned(), Delivery::at_once()), ("erp".to_owned(), Delivery::at_once())]);
        let facts = EventFacts { kind: EventType::TenantCreated, tenant_id: None, time: Millis(5), deliveries };
        StoredEvent { body: Bytes::copy_from_slice(body.as_bytes()), facts }
    }

    fn read(value: Vec<u8>) -> Result<StoredEvent, StoreError> {
        StoredEvent::decode(&Record { key: StoredEvent::key(EventId::from_bytes([7; 16])), version: Version(1), value })
    }

    #[test]
    fn a_body_comes_out_byte_for_byte_whatever_is_in_it_and_the_record_is_json() {
        for body in [r#"{"type":"x","data":{"a":"},\"facts\":{\u0000 é","n":1.10e2}}"#, "{}", r#"{ "spaced" : [1, 2,  3] }"#] {
            let event = event(body);
            let value = event.encode().unwrap();
            assert!(serde_json::from_slice::<serde_json::Value>(&value).is_ok(), "{body}");
            assert_eq!(read(value).unwrap(), event);
        }
    }

    #[test]
    fn a_number_that_the_store_draws_may_take_another_length_within_the_body() {
        let value = event(r#"{"data":{"number":"PLACEHOLDER"}}"#).encode().unwrap();
        let value = String::from_utf8(value).unwrap().replace("PLACEHOLDER", "INV-000001-long-enough-to-move-everything").into_bytes();
        assert_eq!(&read(value).unwrap().body[..], br#"{"data":{"number":"INV-000001-long-enough-to-move-everything"}}"#);
    }

    #[test]
    fn a_record_stays_small_enough_for_the_store_whatever_many_endpoints_answer() {
        let mut event = event("{}");
        let answer = Some("\"".repeat(1024));
        let attempt = Attempt { answer, error: Some("\"".repeat(300)), ..ended(None).attempt };
        for number in 0..40 {
            let attempts = vec![attempt.clone(); KEPT_ATTEMPTS];
            event.facts.deliveries.insert(format!("endpoint-{number}"), Delivery { attempts, ..Delivery::at_once() });
        }
        let value = event.encode().unwrap();
        assert!(value.len() < MOST_FACTS, "{} octets", value.len());
        let kept = &read(value).unwrap().facts.deliveries["endpoint-7"].attempts;
        assert_eq!((kept.len(), &kept[2].error, &kept[2].answer), (3, &attempt.error, &None));
    }

    #[test]
    fn a_record_that_is_something_else_is_damaged() {
        let whole = event("{}").encode().unwrap();
        for wrong in [&b"{}"[..], b"", b"{\"event\":{}", &whole[..whole.len() - 1], &whole[1..]] {
            assert!(matches!(read(wrong.to_vec()), Err(StoreError::Damaged(_))), "{}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn attempts_fail_until_the_waits_are_used_up_and_a_success_ends_them() {
        let mut delivery = Delivery::at_once();
        assert_eq!(delivery.settle(ended(Some("no")), 0, &RETRY, 0.5), Some(Duration::from_secs(10)));
        assert_eq!((delivery.state, delivery.next_at), (DeliveryState::Pending, Some(Millis(11_500))));
        assert_eq!(delivery.settle(ended(Some("no")), 0, &RETRY, 0.5), Some(Duration::from_secs(100)));
        let mut other = delivery.clone();
        assert_eq!(delivery.settle(ended(Some("no")), 0, &RETRY, 0.5), None);
        assert_eq!((delivery.state, delivery.next_at, delivery.attempts.len()), (DeliveryState::Failed, None, 3));
        assert_eq!(other.settle(ended(None), 0, &RETRY, 0.5), None);
        assert_eq!((other.state, other.failures), (DeliveryState::Delivered, 0));
        let gone = Ended { is_final: true, ..ended(Some("410")) };
        let mut new = Delivery::at_once();
        assert_eq!((new.settle(gone, 0, &RETRY, 0.5), new.state), (None, DeliveryState::Failed));
    }

    #[test]
    fn an_attempt_that_began_before_it_was_asked_for_again_does_not_end_it() {
        let mut delivery = Delivery::at_once();
        delivery.settle(ended(None), 0, &RETRY, 0.5);
        delivery.begin_again();
        assert_eq!(delivery.settle(ended(None), 0, &RETRY, 0.5), Some(Duration::ZERO));
        assert_eq!(delivery.state, DeliveryState::Pending);
        assert_eq!(delivery.settle(ended(None), 1, &RETRY, 0.5), None);
        assert_eq!((delivery.state, delivery.attempts.len()), (DeliveryState::Delivered, 3));
    }

    #[test]
    fn the_last_twenty_attempts_are_kept() {
        let mut delivery = Delivery::at_once();
        for at in 0..30 {
            let mut ended = ended(Some("no"));
            ended.attempt.time = Millis(at);
            delivery.begin_again();
            delivery.settle(ended, at as u32 + 1, &RETRY, 0.5);
        }
        assert_eq!((delivery.attempts.len(), delivery.attempts[0].time), (20, Millis(10)));
    }

    #[test]
    fn an_event_is_pending_while_one_endpoint_waits_and_failed_where_one_never_got_it() {
        let mut event = event("{}");
        let set = |event: &mut StoredEvent, name: &str, state| event.facts.deliveries.get_mut(name).unwrap().state = state;
        assert!(event.is_pending());
        set(&mut event, "crm", DeliveryState::Failed);
        assert_eq!(event.state(), DeliveryState::Pending);
        set(&mut event, "erp", DeliveryState::Delivered);
        assert_eq!(event.state(), DeliveryState::Failed);
        set(&mut event, "crm", DeliveryState::Delivered);
        assert_eq!(event.state(), DeliveryState::Delivered);
    }
}
