//! `/admin/tenants/{id}/config`: branding, features and settings.

use axum::extract::{Path, State};
use axum::response::Response;

use super::App;
use super::call::Call;
use super::error::Problem;
use super::idempotency::{Outcome, write};
use super::tenants::tagged;
use super::views::{ProblemView, json_of};
use crate::tenancy::{TenantPatch, update_tenant};

/// Read a tenant's config.
#[utoipa::path(get, path = "/admin/tenants/{id}/config", tag = "config", params(("id" = String, Path)),
    responses((status = 200, description = "`{branding, features, settings}`"), (status = 404, body = ProblemView)))]
pub async fn read(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let tenant = app.find(&id).await?;
    Ok(tagged(&call, &tenant, json_of(&tenant.value.config)))
}

/// Change a tenant's config by a JSON merge patch (RFC 7396): `null` removes.
#[utoipa::path(patch, path = "/admin/tenants/{id}/config", tag = "config", params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body(content = Object, description = "Any of branding, features and settings."),
    responses((status = 200, description = "`{branding, features, settings}`"), (status = 412, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn patch(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let patch = TenantPatch { config: Some(call.value()?), ..TenantPatch::default() };
    write(&app, &call, || async {
        let current = app.find(&id).await?;
        call.check_match(&current)?;
        let change = update_tenant(&current, &[], &patch, ("config.updated", ""), &app.config, &call.cause)?;
        let body = json_of(&change.tenant.config);
        Ok(Outcome::ok(change, body))
    })
    .await
}
