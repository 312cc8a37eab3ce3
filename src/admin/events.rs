//! `/admin/events`: what the operator's systems were told, how that went, and what is told again.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::App;
use super::call::{Call, Query};
use super::error::Problem;
use super::event_views::{EndpointView, EventView};
use super::views::{ProblemView, json_of, page_json};
use crate::events::{DeliveryState, EventFilter, ResendError};
use crate::model::{EventId, EventType, TenantId};
use crate::tenancy::did_you_mean;

/// Where it is sent again; the whole body may be absent.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Resend {
    /// An endpoint of the configuration, also one that the event was not for; without it, all that it was for.
    #[schema(example = "crm")]
    endpoint: Option<String>,
}

/// What is tested.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TestEvent {
    /// An endpoint of the configuration.
    #[schema(example = "crm")]
    endpoint: String,
}

/// List events to the operator's systems, newest first. They are kept for 30 days.
#[utoipa::path(get, path = "/admin/events", tag = "events",
    params(("type" = Option<String>, Query, description = "Such as `tenant.suspended`."),
        ("tenantId" = Option<String>, Query, description = "Id or slug."),
        ("state" = Option<String>, Query, description = "`pending`, `delivered` or `failed`."),
        ("limit" = Option<u16>, Query, description = "1 to 500, 50 by default."), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "`{\"data\": [Event], \"nextCursor\": …}`"),
        (status = 404, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn list(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let query = call.query(&["type", "tenantId", "state", "limit", "cursor"])?;
    let cursor = query.parse::<EventId>("cursor", "what `nextCursor` said")?;
    let (kind, state, limit) = (kind(&query)?, state(&query)?, query.limit()?);
    let tenant_id = match query.get("tenantId") {
        None => None,
        // Events outlive names, so an id is taken as it is.
        Some(text) => match text.parse::<TenantId>() {
            Ok(id) => Some(id),
            Err(_) => Some(app.find(text).await?.value.id),
        },
    };
    let page = app.events.list(EventFilter { kind, tenant_id, state }, cursor, limit).await?;
    let shown = page.items.iter().map(|(id, event)| json_of(&EventView::of(*id, event, false))).collect();
    Ok(axum::Json(page_json(shown, page.next.map(|id| id.to_string()))).into_response())
}

/// Read one event: what is sent, and every attempt.
#[utoipa::path(get, path = "/admin/events/{id}", tag = "events", params(("id" = String, Path)),
    responses((status = 200, body = EventView), (status = 404, body = ProblemView)))]
pub async fn read(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = event_id(&id)?;
    let event = app.events.get(id).await?.ok_or(ResendError::NoEvent)?;
    Ok(axum::Json(EventView::of(id, &event, true)).into_response())
}

/// Send an event once more, under the same `webhook-id`, whether it was delivered or not: to one endpoint, or to all that it was for.
#[utoipa::path(post, path = "/admin/events/{id}/resend", tag = "events", request_body = Option<Resend>, params(("id" = String, Path)),
    responses((status = 200, body = EventView), (status = 404, body = ProblemView), (status = 409, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn resend(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let body: Resend = call.json_or_empty()?;
    let id = event_id(&id)?;
    let known: Vec<String> = app.events.endpoints().into_iter().map(|endpoint| endpoint.name).collect();
    let sent = app.events.resend(id, body.endpoint.as_deref(), |event, endpoints| {
        let after = json!({"eventId": id, "type": event.facts.kind, "endpoints": endpoints});
        call.cause.audit("event.resent", event.facts.tenant_id, None, Some(after))
    });
    let event = sent.await.map_err(|error| problem(error, &known))?;
    Ok(axum::Json(EventView::of(id, &event, true)).into_response())
}

/// Send an event of the type `test.ping` to an endpoint, whatever it wants to hear of.
#[utoipa::path(post, path = "/admin/events/test", tag = "events", request_body = TestEvent,
    responses((status = 201, body = EventView), (status = 422, body = ProblemView)))]
pub async fn test(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let body: TestEvent = call.json()?;
    let known: Vec<String> = app.events.endpoints().into_iter().map(|endpoint| endpoint.name).collect();
    let sent = app
        .events
        .test(&body.endpoint, |id| call.cause.audit("event.tested", None, None, Some(json!({"eventId": id, "endpoint": body.endpoint}))));
    let (id, event) = sent.await.map_err(|error| problem(error, &known))?;
    Ok((StatusCode::CREATED, axum::Json(EventView::of(id, &event, true))).into_response())
}

/// List the endpoints of the configuration, and how they have been doing since the start.
#[utoipa::path(get, path = "/admin/events/endpoints", tag = "events",
    responses((status = 200, description = "`{\"data\": [EventEndpoint], \"nextCursor\": null}`", body = EndpointView)))]
pub async fn endpoints(State(app): State<App>) -> Response {
    let shown = app.events.endpoints().into_iter().map(|standing| json_of(&EndpointView::of(standing))).collect();
    axum::Json(page_json(shown, None)).into_response()
}

fn event_id(text: &str) -> Result<EventId, Problem> {
    text.parse().map_err(|_| ResendError::NoEvent.into())
}

fn kind(query: &Query) -> Result<Option<EventType>, Problem> {
    let Some(text) = query.get("type") else { return Ok(None) };
    let known = EventType::ALL.into_iter().chain([EventType::TestPing]).map(EventType::as_str);
    let wrong = |error| Problem::field("/query/type", "invalid", format!("{error}{}", did_you_mean(text, known)));
    text.parse().map(Some).map_err(wrong)
}

fn state(query: &Query) -> Result<Option<DeliveryState>, Problem> {
    let known = [DeliveryState::Pending, DeliveryState::Delivered, DeliveryState::Failed];
    let Some(text) = query.get("state") else { return Ok(None) };
    let hint = did_you_mean(text, known.iter().map(|state| state.as_str()));
    let wrong = || Problem::field("/query/state", "invalid", format!("`state` is `pending`, `delivered` or `failed`{hint}"));
    known.into_iter().find(|state| state.as_str() == text).map(Some).ok_or_else(wrong)
}

fn problem(error: ResendError, known: &[String]) -> Problem {
    match &error {
        ResendError::NoEndpoint(name) => {
            let hint = did_you_mean(name, known.iter().map(String::as_str));
            Problem::field("/endpoint", "unknown_endpoint", format!("{error}{hint}"))
        }
        _ => error.into(),
    }
}

impl From<ResendError> for Problem {
    fn from(error: ResendError) -> Self {
        let detail = error.to_string();
        match error {
            ResendError::NoEvent => Self::not_found("Event not found", "There is no such event; those of the last 30 days are kept."),
            ResendError::NoEndpoint(_) => Self::field("/endpoint", "unknown_endpoint", detail),
            ResendError::NobodyLeft => Self::new(StatusCode::CONFLICT, "no_endpoint", "No endpoint left", detail),
            ResendError::Store(error) => Self::from(error),
        }
    }
}
