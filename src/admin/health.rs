//! `/admin/tenants/{id}/health` and `…/invoices`: how a tenant stands.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::App;
use super::call::Call;
use super::error::Problem;
use super::views::ProblemView;
use crate::model::{Gauge, Limits, Status, Usage};

/// How a tenant stands: its state, its limits and its subscription.
#[utoipa::path(get, path = "/admin/tenants/{id}/health", tag = "tenants", params(("id" = String, Path)),
    responses((status = 200, description = "`{tenantId, status, usageWithinLimits, subscriptionValid, paymentStatus}`"), (status = 404, body = ProblemView)))]
pub async fn read(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let tenant = app.find(&id).await?.value;
    let now = call.cause.now;
    let usage = app.usage.month(tenant.id, now.day().month(), now).await?;
    let valid = match tenant.status {
        Status::Trial => tenant.trial_ends_at.is_none_or(|end| end > now),
        Status::Active | Status::PastDue => true,
        Status::Suspended | Status::Canceled | Status::Deleted => false,
    };
    let body = json!({
        "tenantId": tenant.id,
        "status": tenant.status,
        "usageWithinLimits": app.plan_of(&tenant).is_some_and(|plan| within(&usage, &plan.limits)),
        "subscriptionValid": valid,
        "paymentStatus": if tenant.status == Status::PastDue { "past_due" } else { "current" },
    });
    Ok(axum::Json(body).into_response())
}

/// A tenant's invoices. This version issues none, so the list is empty.
#[utoipa::path(get, path = "/admin/tenants/{id}/invoices", tag = "invoices", params(("id" = String, Path)),
    responses((status = 200, description = "A bare array"), (status = 404, body = ProblemView)))]
pub async fn invoices(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    app.find(&id).await?;
    Ok(axum::Json(json!([])).into_response())
}

fn within(usage: &Usage, limits: &Limits) -> bool {
    let fits = |used: u64, limit: Option<u64>| limit.is_none_or(|limit| used <= limit);
    fits(usage.today.metered, limits.max_api_calls)
        && fits(usage.month.egress, limits.max_bandwidth)
        && Gauge::ALL.into_iter().all(|gauge| fits(usage.levels.get(gauge), limits.of(gauge)))
}
