//! `POST /admin/tenants/{id}/usage`: what a tenant has and who was active, reported by an app or an operator.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::App;
use super::call::Call;
use super::error::Problem;
use super::views::ProblemView;
use crate::model::{Gauge, Status};
use crate::tenancy::{Claim, FieldError, ReportError, Shift};

/// No level gets there.
const MOST: u64 = i64::MAX as u64;
/// Octets of a key or of a user's id.
const LONGEST: usize = 255;

/// A report. `delta` moves a gauge, `value` sets it; of `activeUser`, `value` is the user's id.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = UsageReport)]
pub struct Body {
    /// `storage` (octets), `users`, `projects` or `activeUser`.
    #[schema(example = "storage")]
    meter: String,
    /// By how much the gauge moves; it never falls below zero.
    #[schema(example = 1_048_576)]
    delta: Option<i64>,
    /// The new level, or the id of the user.
    value: Option<Level>,
    /// The same key is taken once; another report under it is refused. The field `Idempotency-Key` does the same.
    idempotency_key: Option<String>,
}

/// What a gauge is set to, or who was active.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a whole number from 0, or the id of a user as text")]
enum Level {
    Number(u64),
    User(String),
}

/// Reports what a tenant has, or that a user was active. With a key, sending it again is harmless.
#[utoipa::path(post, path = "/admin/tenants/{id}/usage", tag = "usage", params(("id" = String, Path)), request_body = Body,
    responses((status = 200, description = "`{tenantId, meter, value, idempotencyKey, timestamp}`; `value` is the level after it"),
        (status = 404, body = ProblemView), (status = 409, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn report(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let body: Body = call.json()?;
    let tenant = app.find(&id).await?.value;
    if tenant.status == Status::Deleted {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "invalid_transition",
            "Not possible in this state",
            "The tenant is deleted; restore it first.",
        ));
    }
    let key = key(&call, &body)?;
    let claim = claim(&body).map_err(Problem::invalid)?;
    let user = if let Claim::ActiveUser(user) = &claim { json!(user) } else { Value::Null };
    let accepted = app.reporter.report(tenant.id, claim, key.clone(), &call.cause).await.map_err(|error| problem(error, &id))?;
    let answer = json!({
        "tenantId": tenant.id,
        "meter": body.meter,
        "value": accepted.level.map_or(user, |level| json!(level)),
        "idempotencyKey": key,
        "timestamp": accepted.time,
    });
    Ok(axum::Json(answer).into_response())
}

fn key(call: &Call, body: &Body) -> Result<Option<String>, Problem> {
    let field = call.headers.get("idempotency-key").map(|value| value.to_str().map(ToOwned::to_owned)).transpose();
    let field = field.map_err(|_| {
        Problem::bad_request("`Idempotency-Key` has visible ASCII characters only; other text can be sent as `idempotencyKey`.")
    })?;
    let key = body.idempotency_key.clone().or(field);
    match &key {
        Some(key) if key.trim().is_empty() || key.len() > LONGEST => {
            Err(Problem::field("/idempotencyKey", "invalid", format!("an idempotency key has 1 to {LONGEST} octets")))
        }
        _ => Ok(key),
    }
}

fn claim(body: &Body) -> Result<Claim, Vec<FieldError>> {
    let wrong = |pointer: &str, code, detail: &str| vec![FieldError::new(pointer, code, detail)];
    let gauge = Gauge::ALL.into_iter().find(|gauge| gauge.name() == body.meter);
    let Some(gauge) = gauge else {
        if body.meter != "activeUser" {
            return Err(wrong("/meter", "invalid", "`meter` is one of `storage`, `users`, `projects`, `activeUser`"));
        }
        return match (&body.delta, &body.value) {
            (None, Some(Level::User(user))) if !user.trim().is_empty() && user.len() <= LONGEST => Ok(Claim::ActiveUser(user.clone())),
            (None, _) => Err(wrong("/value", "invalid", "of `activeUser`, `value` is the id of the user, as text of at most 255 octets")),
            (Some(_), _) => Err(wrong("/delta", "invalid", "a user is active or not; put the id into `value`")),
        };
    };
    match (body.delta, &body.value) {
        (Some(delta), None) => Ok(Claim::Gauge(gauge, Shift::By(delta))),
        (None, Some(Level::Number(level))) if *level <= MOST => Ok(Claim::Gauge(gauge, Shift::To(*level))),
        (None, Some(_)) => Err(wrong("/value", "invalid", "`value` is a whole number from 0")),
        (None, None) => Err(wrong("/delta", "missing", "one of `delta` and `value` is needed")),
        (Some(_), Some(_)) => Err(wrong("/value", "invalid", "only one of `delta` and `value` can be taken")),
    }
}

fn problem(error: ReportError, id: &str) -> Problem {
    let detail = error.to_string();
    match error {
        ReportError::KeyReused => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", "Idempotency key reused", detail)
        }
        ReportError::NoRoom(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "Overloaded",
            "The usage journal has no room; nothing was taken. Is its disk full?",
        ),
        ReportError::NoTenant => Problem::tenant_not_found(id),
        ReportError::NotStored => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store_unavailable",
            "Store not available",
            "The report was taken, and will be stored when the store takes changes again. Send it again only under an idempotency key.",
        ),
        ReportError::Store(error) => Problem::from(error),
    }
}
