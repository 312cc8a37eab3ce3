//! `/admin/tenants/{id}/usage`: what a tenant used in a month, and day by day. Live: a call is in the first read begun
//! after the client has its response.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::App;
use super::call::Call;
use super::error::Problem;
use super::views::{ProblemView, page_json};
use crate::model::Month;

/// A tenant's usage in a month (`period=2026-11`, the current one by default).
#[utoipa::path(get, path = "/admin/tenants/{id}/usage", tag = "usage",
    params(("id" = String, Path), ("period" = Option<String>, Query, example = "2026-11")),
    responses((status = 200, description = "`{tenantId, period, apiCalls, storage, bandwidth, activeUsers, timestamp, apiCallsToday, rejected, ingress, users, projects, peakStorage, overage: {apiCalls, bandwidth, storage}}`"),
        (status = 404, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn month(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let month = period(&call)?;
    let tenant = app.find(&id).await?.value;
    let now = call.cause.now;
    let usage = app.usage.month(tenant.id, month, now).await?;
    let body = json!({
        "tenantId": tenant.id,
        "period": month.to_string(),
        "apiCalls": usage.month.metered,
        "storage": usage.levels.storage,
        "bandwidth": usage.month.egress,
        "activeUsers": usage.active_users,
        "users": usage.levels.users,
        "projects": usage.levels.projects,
        "timestamp": now,
        "apiCallsToday": usage.today.metered,
        "rejected": usage.month.rejected,
        "ingress": usage.month.ingress,
        "peakStorage": usage.peak.storage,
        "overage": {
            "apiCalls": usage.month.calls_over,
            "bandwidth": usage.month.egress_over,
            "storage": usage.storage_over,
        },
    });
    Ok(axum::Json(body).into_response())
}

/// A tenant's usage day by day, oldest first; days without any are left out.
#[utoipa::path(get, path = "/admin/tenants/{id}/usage/daily", tag = "usage",
    params(("id" = String, Path), ("period" = Option<String>, Query, example = "2026-11")),
    responses((status = 200, description = "`{\"data\": [{date, apiCalls, bandwidth, ingress, rejected, overage}], \"nextCursor\": null}`"),
        (status = 404, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn daily(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let month = period(&call)?;
    let tenant = app.find(&id).await?.value.id;
    let days = app.usage.days(tenant, month).await?;
    let day = |day: &crate::tenancy::DayUsage| {
        json!({
            "date": day.day.to_string(),
            "apiCalls": day.totals.metered,
            "bandwidth": day.totals.egress,
            "ingress": day.totals.ingress,
            "rejected": day.totals.rejected,
            "overage": {"apiCalls": day.totals.calls_over, "bandwidth": day.totals.egress_over},
        })
    };
    Ok(axum::Json(page_json(days.iter().map(day).collect(), None)).into_response())
}

fn period(call: &Call) -> Result<Month, Problem> {
    let given = call.query(&["period"])?.parse::<Month>("period", "a month like `2026-11`")?;
    Ok(given.unwrap_or_else(|| call.cause.now.day().month()))
}
