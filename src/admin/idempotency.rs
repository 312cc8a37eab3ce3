//! How every write goes: compute, keep the answer for `Idempotency-Key` in the same commit, apply, and try again where
//! someone else was faster.

use std::future::Future;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::Value;

use super::App;
use super::call::{Call, etag};
use super::error::Problem;
use crate::model::{Millis, Tenant};
use crate::store::{Tx, Version};
use crate::tenancy::{Change, KeptAnswer, TenancyError, Versioned, attach_answer, kept_answer};

/// How often a change is computed anew because the tenant moved under it.
const ATTEMPTS: usize = 5;

/// A change and the answer it gets once it is committed.
pub struct Outcome {
    /// What is committed.
    pub change: Change,
    /// Status of the answer.
    pub status: StatusCode,
    /// Its body.
    pub body: Value,
    /// A member of the body that is told once and never kept.
    pub secret: Option<&'static str>,
}

impl Outcome {
    /// The change, answered 200 with `body`.
    pub fn ok(change: Change, body: Value) -> Self {
        Self { change, status: StatusCode::OK, body, secret: None }
    }
}

/// Does what `compute` says, once.
pub async fn write<F, Fut>(app: &App, call: &Call, compute: F) -> Result<Response, Problem>
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<Outcome, Problem>> + Send,
{
    let mut outcome_of_last = TenancyError::Conflict;
    for _ in 0..ATTEMPTS {
        let slip = match Replay::of(app, call).await? {
            Replay::Answer(response) => return Ok(response),
            Replay::First(slip) => slip,
        };
        let mut outcome = compute().await?;
        let kept = without_secret(&outcome);
        slip.keep(&mut outcome.change.tx, outcome.status, kept)?;
        match app.tenants.apply(outcome.change).await {
            Ok(applied) => return Ok(respond(outcome.status, &outcome.body, &applied)),
            Err(error @ (TenancyError::Conflict | TenancyError::Taken(_))) => outcome_of_last = error,
            Err(error) => return Err(error.into()),
        }
        // A twin of this request may have taken the names; then its answer is this one's.
        if slip.name.is_none() && matches!(outcome_of_last, TenancyError::Taken(_)) {
            break;
        }
    }
    Err(outcome_of_last.into())
}

/// The same for what is no tenant: `act` commits, and keeps the answer by the slip that it is given.
pub async fn write_other<F, Fut>(app: &App, call: &Call, act: F) -> Result<Response, Problem>
where
    F: Fn(Slip) -> Fut + Send + Sync,
    Fut: Future<Output = Result<(StatusCode, Value), TenancyError>> + Send,
{
    let mut was_taken = false;
    for _ in 0..ATTEMPTS {
        let slip = match Replay::of(app, call).await? {
            Replay::Answer(response) => return Ok(response),
            Replay::First(slip) => slip,
        };
        let may_be_a_twin = slip.name.is_some() && !was_taken;
        match act(slip).await {
            Ok((status, body)) => return Ok((status, axum::Json(body)).into_response()),
            Err(TenancyError::Conflict) => {}
            // A twin of this request may have taken the name; then its answer is this one's.
            Err(TenancyError::Taken(_)) if may_be_a_twin => was_taken = true,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::new(StatusCode::CONFLICT, "conflict", "Changed meanwhile", "Somebody else was faster each time; try again."))
}

/// Where the answer to a request is kept, if it has an `Idempotency-Key`.
#[derive(Debug, Clone)]
pub struct Slip {
    name: Option<String>,
    print: String,
    time: Millis,
    outdated: Option<Version>,
}

impl Slip {
    /// Keeps the answer in the same commit.
    pub fn keep(&self, tx: &mut Tx, status: StatusCode, body: Value) -> Result<(), TenancyError> {
        let Some(name) = &self.name else { return Ok(()) };
        let answer = KeptAnswer { fingerprint: self.print.clone(), status: status.as_u16(), body, time: self.time };
        attach_answer(tx, name, &answer, self.outdated)
    }
}

enum Replay {
    Answer(Response),
    First(Slip),
}

impl Replay {
    async fn of(app: &App, call: &Call) -> Result<Self, Problem> {
        let print = KeptAnswer::fingerprint(call.method.as_str(), &call.uri.to_string(), &call.body);
        let time = call.cause.now;
        let Some(name) = name(call)? else { return Ok(Self::First(Slip { name: None, print, time, outdated: None })) };
        let (kept, outdated) = kept_answer(&*app.tenants.store, &name, time).await?;
        let Some(kept) = kept else { return Ok(Self::First(Slip { name: Some(name), print, time, outdated })) };
        if kept.fingerprint != print {
            let detail = "This Idempotency-Key was used for another request; take a new one.";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", "Idempotency key reused", detail));
        }
        let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
        let mut response = (status, axum::Json(kept.body)).into_response();
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
        Ok(Self::Answer(response))
    }
}

fn name(call: &Call) -> Result<Option<String>, Problem> {
    let mut fields = call.headers.get_all("idempotency-key").iter();
    match (fields.next(), fields.next()) {
        (Some(field), None) if call.method == Method::POST => {
            let text = field.to_str().ok().map(str::trim).filter(|text| (1..=255).contains(&text.len()));
            text.map(|text| Some(text.to_owned()))
                .ok_or_else(|| Problem::bad_request("An Idempotency-Key has 1 to 255 visible ASCII characters."))
        }
        (Some(_), Some(_)) => Err(Problem::bad_request("There is more than one Idempotency-Key.")),
        _ => Ok(None),
    }
}

fn without_secret(outcome: &Outcome) -> Value {
    let mut body = outcome.body.clone();
    if let (Some(secret), Some(members)) = (outcome.secret, body.as_object_mut()) {
        members.remove(secret);
    }
    body
}

fn respond(status: StatusCode, body: &Value, applied: &Versioned<Tenant>) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    if let Ok(tag) = HeaderValue::from_str(&etag(applied)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
