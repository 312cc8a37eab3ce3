//! `POST /admin/tenants/{id}/suspend`, `activate`, `cancel` and `restore`: moves between a tenant's states.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::call::Call;
use super::error::Problem;
use super::idempotency::{Outcome, write};
use super::views::{ProblemView, TenantView};
use crate::tenancy::{Move, move_tenant};

/// Why; the whole body may be absent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// Kept as `statusReason` and in the audit log.
    #[schema(example = "Payment failed")]
    reason: Option<String>,
    /// `cancel` only. This version cancels at once; `true` is refused.
    at_period_end: Option<bool>,
}

/// Refuse the tenant's requests until further notice.
#[utoipa::path(post, path = "/admin/tenants/{id}/suspend", tag = "tenants", request_body = Option<Action>, params(("id" = String, Path)),
    responses((status = 200, body = TenantView), (status = 409, body = ProblemView)))]
pub async fn suspend(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    act(&app, &id, &call, Move::Suspend).await
}

/// Serve the tenant again: in trial while its trial lasts, else active. On a tenant in trial, end the trial.
#[utoipa::path(post, path = "/admin/tenants/{id}/activate", tag = "tenants", request_body = Option<Action>, params(("id" = String, Path)),
    responses((status = 200, body = TenantView), (status = 409, body = ProblemView)))]
pub async fn activate(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    act(&app, &id, &call, Move::Activate).await
}

/// End the tenant's subscription at once.
#[utoipa::path(post, path = "/admin/tenants/{id}/cancel", tag = "tenants", request_body = Option<Action>, params(("id" = String, Path)),
    responses((status = 200, body = TenantView), (status = 409, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn cancel(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    act(&app, &id, &call, Move::Cancel).await
}

/// Undo a delete, if slug and domain are still free.
#[utoipa::path(post, path = "/admin/tenants/{id}/restore", tag = "tenants", request_body = Option<Action>, params(("id" = String, Path)),
    responses((status = 200, body = TenantView), (status = 409, body = ProblemView)))]
pub async fn restore(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    act(&app, &id, &call, Move::Restore).await
}

async fn act(app: &App, id: &str, call: &Call, wanted: Move) -> Result<Response, Problem> {
    let body: Action = call.json_or_empty()?;
    match (wanted, body.at_period_end) {
        (Move::Cancel, Some(true)) => {
            let detail = "this version has no billing periods, so it cancels at once; leave atPeriodEnd out or send false";
            return Err(Problem::field("/atPeriodEnd", "not_available", detail));
        }
        (Move::Cancel, _) | (_, None) => {}
        (_, Some(_)) => return Err(Problem::field("/atPeriodEnd", "unknown_member", "only `cancel` takes atPeriodEnd")),
    }
    write(app, call, || async {
        let current = app.find(id).await?;
        call.check_match(&current)?;
        let change = move_tenant(&current, &[], wanted, body.reason.as_deref(), &app.config, &call.cause)?;
        let body = app.changed_json(&change);
        Ok(Outcome::ok(change, body))
    })
    .await
}
