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
use crate::tenancy::{Move, Order, move_tenant};

/// Why; the whole body may be absent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// Kept as `statusReason` and in the audit log.
    #[schema(example = "Payment failed")]
    reason: Option<String>,
    /// `cancel` only: not before the period, or the trial, is over.
    at_period_end: Option<bool>,
}

/// Refuse the tenant's requests until further notice.
#[utoipa::path(post, path = "/admin/tenants/{id}/suspend", tag = "tenants", request_body = Option<Action>, params(("id" = String, Path)),
    responses((status = 200, body = TenantView), (status = 409, body = ProblemView)))]
pub async fn suspend(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    act(&app, &id, &call, Move::Suspend).await
}

/// Serve the tenant again, in the state that its dates and invoices imply. On a tenant in trial, end the trial. On one that is
/// canceled to the end of its period, go on.
#[utoipa::path(post, path = "/admin/tenants/{id}/activate", tag = "tenants", request_body = Option<Action>, params(("id" = String, Path)),
    responses((status = 200, body = TenantView), (status = 409, body = ProblemView)))]
pub async fn activate(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    act(&app, &id, &call, Move::Activate).await
}

/// End the tenant's subscription, at once or at the end of what is paid for.
#[utoipa::path(post, path = "/admin/tenants/{id}/cancel", tag = "tenants", request_body = Option<Action>, params(("id" = String, Path)),
    responses((status = 200, body = TenantView), (status = 409, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn cancel(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    act(&app, &id, &call, Move::Cancel).await
}

/// Undo a delete, while slug and domains are kept for the tenant (`tenancy.keep_deleted`).
#[utoipa::path(post, path = "/admin/tenants/{id}/restore", tag = "tenants", request_body = Option<Action>, params(("id" = String, Path)),
    responses((status = 200, body = TenantView), (status = 409, body = ProblemView)))]
pub async fn restore(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    act(&app, &id, &call, Move::Restore).await
}

async fn act(app: &App, id: &str, call: &Call, wanted: Move) -> Result<Response, Problem> {
    let body: Action = call.json_or_empty()?;
    if wanted != Move::Cancel && body.at_period_end.is_some() {
        return Err(Problem::field("/atPeriodEnd", "unknown_member", "only `cancel` takes atPeriodEnd"));
    }
    write(app, call, || async {
        // What is kept for a deleted tenant finds it where it is to come back.
        let current = if wanted == Move::Restore { app.find_kept(id).await? } else { app.find(id).await? };
        call.check_match(&current)?;
        let metered = app.biller.metered(&current.value, call.cause.now).await?;
        let order = Order {
            wanted,
            reason: body.reason.as_deref(),
            at_period_end: body.at_period_end == Some(true),
            claims: &[],
            metered: &metered,
        };
        let change = move_tenant(&current, &order, app.biller.desk(), &call.cause)?;
        let body = app.changed_json(&change);
        Ok(Outcome::ok(change, body))
    })
    .await
}
