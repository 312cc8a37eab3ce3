//! `PUT /admin/tenants/{id}/subscription`: the plan and how often it is paid.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::call::Call;
use super::error::Problem;
use super::idempotency::{Outcome, write};
use super::views::{ProblemView, TenantView};
use crate::model::BillingCycle;
use crate::tenancy::change_plan;

/// The subscription as it shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Name of a plan.
    #[schema(example = "enterprise")]
    plan: String,
    /// `monthly` (default) or `yearly`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "yearly")]
    billing_cycle: BillingCycle,
}

/// Move to another plan or cycle; the new limits hold at once.
#[utoipa::path(put, path = "/admin/tenants/{id}/subscription", tag = "tenants", request_body = Subscription,
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = TenantView), (status = 409, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn replace(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let query = call.query(&["dryRun"])?;
    if query.parse::<bool>("dryRun", "true or false")? == Some(true) {
        let detail = "this version makes no invoices, so there is no proration to preview; nothing was changed";
        return Err(Problem::field("/query/dryRun", "not_available", detail));
    }
    let body: Subscription = call.json()?;
    write(&app, &call, || async {
        let current = app.find(&id).await?;
        call.check_match(&current)?;
        let change = change_plan(&current, &body.plan, body.billing_cycle, &app.config, &call.cause)?;
        let body = app.tenant_json(&change.tenant);
        Ok(Outcome::ok(change, body))
    })
    .await
}
