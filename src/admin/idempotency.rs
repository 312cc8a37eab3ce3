//! How every write goes: compute, keep the answer for `Idempotency-Key` in the same commit, apply, and try again where
//! someone else was faster.

use std::future::Future;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::Value;

use super::App;
use super::call::{Call, etag};
use super::error::Problem;
use crate::model::Tenant;
use crate::store::Version;
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
    let name = name(call)?;
    let print = KeptAnswer::fingerprint(call.method.as_str(), &call.uri.to_string(), &call.body);
    let mut outcome_of_last = TenancyError::Conflict;
    for _ in 0..ATTEMPTS {
        let mut outdated = None;
        if let Some(name) = &name {
            match replay(app, call, name, &print).await? {
                Replay::Answer(response) => return Ok(response),
                Replay::First(version) => outdated = version,
            }
        }
        let mut outcome = compute().await?;
        if let Some(name) = &name {
            let answer = answer(&outcome, print.clone(), call);
            attach_answer(&mut outcome.change, name, &answer, outdated)?;
        }
        match app.tenants.apply(outcome.change).await {
            Ok(applied) => return Ok(respond(outcome.status, &outcome.body, &applied)),
            Err(error @ (TenancyError::Conflict | TenancyError::Taken(_))) => outcome_of_last = error,
            Err(error) => return Err(error.into()),
        }
        // A twin of this request may have taken the names; then its answer is this one's.
        if name.is_none() && matches!(outcome_of_last, TenancyError::Taken(_)) {
            break;
        }
    }
    Err(outcome_of_last.into())
}

enum Replay {
    Answer(Response),
    First(Option<Version>),
}

async fn replay(app: &App, call: &Call, name: &str, print: &str) -> Result<Replay, Problem> {
    let (kept, outdated) = kept_answer(&*app.tenants.store, name, call.cause.now).await?;
    let Some(kept) = kept else { return Ok(Replay::First(outdated)) };
    if kept.fingerprint != print {
        let detail = "This Idempotency-Key was used for another request; take a new one.";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", "Idempotency key reused", detail));
    }
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let mut response = (status, axum::Json(kept.body)).into_response();
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    Ok(Replay::Answer(response))
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

fn answer(outcome: &Outcome, fingerprint: String, call: &Call) -> KeptAnswer {
    let mut body = outcome.body.clone();
    if let (Some(secret), Some(members)) = (outcome.secret, body.as_object_mut()) {
        members.remove(secret);
    }
    KeptAnswer { fingerprint, status: outcome.status.as_u16(), body, time: call.cause.now }
}

fn respond(status: StatusCode, body: &Value, applied: &Versioned<Tenant>) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    if let Ok(tag) = HeaderValue::from_str(&etag(applied)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
