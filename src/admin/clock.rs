//! `POST /admin/clock`: moves billing time, where `dev.test_clock` allows it.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::App;
use super::call::Call;
use super::error::Problem;
use super::views::ProblemView;
use crate::config::read_duration;
use crate::model::Millis;
use crate::tenancy::ClockError;

/// By how much, or to when; one of both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Advance {
    /// Such as `30d`, `12h` or `0s`, which only stops it.
    #[schema(example = "30d")]
    advance: Option<String>,
    /// Epoch milliseconds.
    to: Option<i64>,
}

/// Move billing time; everything that is due until then has been done when this answers. From the first call on it stands still.
#[utoipa::path(post, path = "/admin/clock", tag = "operations", request_body = Advance,
    responses((status = 200, description = "`{now, steps}`: billing time, and how many steps of billing were done"),
        (status = 403, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn advance(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let Some(mover) = &app.clock_mover else {
        let detail = "Billing time can be moved only with `[dev] test_clock = true`, which is no setting for production.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "No test clock", detail));
    };
    let body: Advance = call.json()?;
    let outcome = match (&body.advance, body.to) {
        (Some(text), None) => {
            let wrong = || Problem::field("/advance", "invalid", "a duration such as \"30d\", \"12h\" or \"0s\", at most 366 days");
            let by = read_duration(text).ok_or_else(wrong)?;
            mover.move_to(|now| now.plus(by), &call.cause).await
        }
        (None, Some(to)) => mover.move_to(|_| Millis(to), &call.cause).await,
        _ => return Err(Problem::field("", "invalid", "send either `advance` or `to`")),
    };
    let (now, steps) = outcome.map_err(|error| problem(error, &body))?;
    Ok(axum::Json(json!({"now": now, "steps": steps})).into_response())
}

fn problem(error: ClockError, body: &Advance) -> Problem {
    let pointer = if body.to.is_some() { "/to" } else { "/advance" };
    match error {
        ClockError::Backwards { .. } => Problem::field(pointer, "backwards", error.to_string()),
        ClockError::TooFar => Problem::field(pointer, "too_far", error.to_string()),
        ClockError::Tenancy(error) => Problem::from(error),
        ClockError::Stuck | ClockError::Silent | ClockError::Journal(_) => {
            tracing::error!(%error, "the test clock cannot be moved");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "clock_stuck", "Billing time stands still", error.to_string())
                .with_header(header::RETRY_AFTER, HeaderValue::from_static("5"))
        }
    }
}
