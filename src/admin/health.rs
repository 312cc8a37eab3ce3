//! `/admin/tenants/{id}/health`: how a tenant stands.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::App;
use super::call::Call;
use super::error::Problem;
use super::views::ProblemView;
use crate::model::Status;
use crate::tenancy::exceeded;

/// How a tenant stands: its state, its limits and its subscription.
#[utoipa::path(get, path = "/admin/tenants/{id}/health", tag = "tenants", params(("id" = String, Path)),
    responses((status = 200, description = "`{tenantId, status, usageWithinLimits, subscriptionValid, paymentStatus}`"), (status = 404, body = ProblemView)))]
pub async fn read(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let tenant = app.find(&id).await?.value;
    let now = call.cause.now;
    let usage = app.usage.month(tenant.id, now.day().month(), now).await?;
    let subscription = &tenant.subscription;
    let valid = match tenant.status {
        Status::Trial => tenant.trial_ends_at.is_none_or(|end| end > now),
        Status::Active | Status::PastDue => subscription.period.as_ref().is_none_or(|period| period.span.end > now),
        Status::Suspended | Status::Canceled | Status::Deleted => false,
    };
    let body = json!({
        "tenantId": tenant.id,
        "status": tenant.status,
        "usageWithinLimits": app.plan_of(&tenant).is_some_and(|plan| exceeded(&plan.limits, &usage).is_empty()),
        "subscriptionValid": valid,
        "paymentStatus": if subscription.open.iter().any(|owed| owed.failed_at.is_some()) { "past_due" } else { "current" },
        "subscriptionEndsAt": subscription.period.as_ref().map(|period| period.span.end),
    });
    Ok(axum::Json(body).into_response())
}
