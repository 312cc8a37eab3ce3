//! How events look in JSON.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::views::json_of;
use crate::events::{Attempt, Delivery, EndpointStanding, StoredEvent};
use crate::model::{EventId, EventType, Millis, TenantId};

/// An event that the operator's systems are told. Times are epoch milliseconds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
pub struct EventView {
    /// The `webhook-id` of every attempt.
    #[schema(value_type = String, example = "evt_0193a5c8f3e07b2c9d1e4f5a6b7c8d9e")]
    pub id: EventId,
    /// What has happened.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "tenant.suspended")]
    pub kind: EventType,
    /// To whom; `null` for a test.
    #[schema(value_type = Option<String>)]
    pub tenant_id: Option<TenantId>,
    /// When.
    #[schema(value_type = i64)]
    pub time: Millis,
    /// `pending` while an endpoint is still to get it, `failed` where one never got it, else `delivered`.
    #[schema(value_type = String, example = "delivered")]
    pub state: &'static str,
    /// How it went, by endpoint.
    pub deliveries: Vec<DeliveryView>,
    /// What is sent, `{type, timestamp, data}`; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub payload: Option<Value>,
}

/// How an event gets to one endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Delivery)]
pub struct DeliveryView {
    /// The endpoint's name.
    pub endpoint: String,
    /// `pending`, `delivered` or `failed`.
    #[schema(value_type = String)]
    pub state: &'static str,
    /// Why it was given up, where that was not for an attempt.
    pub detail: Option<String>,
    /// When it is tried next, where it waits.
    #[schema(value_type = Option<i64>)]
    pub next_attempt_at: Option<Millis>,
    /// The last attempt.
    pub last_attempt: Option<AttemptView>,
    /// The last 20 attempts, oldest first; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Vec<AttemptView>>,
}

/// One attempt.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Attempt)]
pub struct AttemptView {
    /// When it began.
    #[schema(value_type = i64)]
    pub time: Millis,
    /// The status of the answer, where one came.
    pub status: Option<u16>,
    /// Why it failed; `null` where it did not.
    pub error: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
    /// How the body of an answer begins that is a failure.
    pub answer: Option<String>,
}

/// An endpoint of the configuration. What it has taken and refused is known since the start of the process.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventEndpoint)]
pub struct EndpointView {
    /// Its name.
    pub name: String,
    /// Where it is, without a query.
    pub url: String,
    /// What it wants to hear of.
    #[schema(value_type = Vec<String>)]
    pub events: Vec<EventType>,
    /// How many events it is still to get.
    pub pending: usize,
    /// The last attempt to end was a failure.
    pub failing: bool,
    /// `{eventId, time}`.
    #[schema(value_type = Option<Object>)]
    pub last_success: Option<Value>,
    /// `{eventId, time, status, error, …}`.
    #[schema(value_type = Option<Object>)]
    pub last_failure: Option<Value>,
}

impl EventView {
    /// As lists show it, or `whole`.
    pub fn of(id: EventId, event: &StoredEvent, whole: bool) -> Self {
        let facts = &event.facts;
        let delivery = |(name, delivery): (&String, &Delivery)| DeliveryView::of(name, delivery, whole);
        Self {
            id,
            kind: facts.kind,
            tenant_id: facts.tenant_id,
            time: facts.time,
            state: event.state().as_str(),
            deliveries: facts.deliveries.iter().map(delivery).collect(),
            // A body is JSON as long as its record is whole.
            payload: whole.then(|| serde_json::from_slice(&event.body).unwrap_or_default()),
        }
    }
}

impl DeliveryView {
    fn of(name: &str, delivery: &Delivery, whole: bool) -> Self {
        Self {
            endpoint: name.to_owned(),
            state: delivery.state.as_str(),
            detail: delivery.given_up.clone(),
            next_attempt_at: delivery.next_at,
            last_attempt: delivery.attempts.last().map(AttemptView::of),
            attempts: whole.then(|| delivery.attempts.iter().map(AttemptView::of).collect()),
        }
    }
}

impl AttemptView {
    fn of(attempt: &Attempt) -> Self {
        let Attempt { time, status, error, duration_ms, answer } = attempt.clone();
        Self { time, status, error, duration_ms, answer }
    }
}

impl EndpointView {
    /// Of an endpoint.
    pub fn of(standing: EndpointStanding) -> Self {
        let EndpointStanding { name, url, events, pending, seen } = standing;
        let failure = |(id, attempt): (EventId, Attempt)| {
            let mut told = json_of(&AttemptView::of(&attempt));
            told["eventId"] = json_of(&id);
            told
        };
        Self {
            name,
            url,
            events,
            pending,
            failing: seen.is_failing,
            last_success: seen.last_success.map(|(id, time)| serde_json::json!({"eventId": id, "time": time})),
            last_failure: seen.last_failure.map(failure),
        }
    }
}
