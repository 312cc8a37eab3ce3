//! `/api/tenant` and `/api/usage` on the admin listener: the tenant API for the operator, the tenant named by
//! `X-Tenant-Id`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::call::Call;
use super::error::Problem;
use super::views::ProblemView;
use super::{AdminState, App};
use crate::model::{Limits, Status, Tenant};
use crate::tenancy::{tenant_document, usage_document};

/// What a tenant is told of itself.
#[utoipa::path(get, path = "/api/tenant", tag = "tenant API", params(("X-Tenant-Id" = String, Header, description = "Id or slug.")),
    responses((status = 200, description = "`{id, name, plan, config, …}`"), (status = 403, body = ProblemView), (status = 404, body = ProblemView)))]
pub async fn tenant(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let tenant = app.named(&call).await?;
    let on = app.flags(&tenant, None).into_iter().filter(|flag| flag.enabled).map(|flag| flag.name);
    Ok(axum::Json(tenant_document(&tenant, &on.collect::<Vec<_>>())).into_response())
}

/// A tenant's usage this month, and its limits.
#[utoipa::path(get, path = "/api/usage", tag = "tenant API", params(("X-Tenant-Id" = String, Header, description = "Id or slug.")),
    responses((status = 200, description = "`{usage: {apiCalls, storage, bandwidth, activeUsers}, limits}`"), (status = 403, body = ProblemView), (status = 404, body = ProblemView)))]
pub async fn usage(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let tenant = app.named(&call).await?;
    let now = call.cause.now;
    let usage = app.usage.month(tenant.id, now.day().month(), now).await?;
    let limits = app.plan_of(&tenant).map_or_else(Limits::default, |plan| plan.limits);
    Ok(axum::Json(usage_document(&usage, &limits)).into_response())
}

impl AdminState {
    /// The tenant that `X-Tenant-Id` names, if it is served.
    async fn named(&self, call: &Call) -> Result<Tenant, Problem> {
        let mut fields = call.headers.get_all("x-tenant-id").iter();
        let (Some(field), None) = (fields.next(), fields.next()) else {
            return Err(Problem::bad_request("Name the tenant in one field `X-Tenant-Id`, by id or slug."));
        };
        let text = field.to_str().unwrap_or_default().trim();
        let tenant = self.find(text).await?.value;
        match tenant.status {
            Status::Trial | Status::Active | Status::PastDue => Ok(tenant),
            Status::Suspended => {
                let detail = "The tenant is suspended; its operator can activate it.";
                Err(Problem::new(StatusCode::FORBIDDEN, "tenant_suspended", "Tenant suspended", detail))
            }
            Status::Canceled | Status::Deleted => Err(Problem::tenant_not_found(text)),
        }
    }
}
