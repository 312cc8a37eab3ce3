//! `/admin/tenants/{id}/features/{flag}`, also below `config`: one feature flag.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::App;
use super::call::Call;
use super::error::Problem;
use super::idempotency::{Outcome, write};
use super::views::{ProblemView, json_of};
use crate::tenancy::set_feature;

/// A flag's state; a bare `true` or `false` is taken as well.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Flag {
    /// On or off.
    enabled: bool,
}

/// Switch a flag on or off.
#[utoipa::path(put, path = "/admin/tenants/{id}/features/{flag}", tag = "config", request_body = Flag,
    params(("id" = String, Path), ("flag" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "The tenant's config"), (status = 422, body = ProblemView)))]
pub async fn set(State(app): State<App>, Path((id, flag)): Path<(String, String)>, call: Call) -> Result<Response, Problem> {
    let on = match call.value()? {
        Value::Bool(on) => on,
        _ => call.json::<Flag>()?.enabled,
    };
    apply(&app, &id, &flag, &call, Some(on)).await
}

/// Remove a flag.
#[utoipa::path(delete, path = "/admin/tenants/{id}/features/{flag}", tag = "config",
    params(("id" = String, Path), ("flag" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "The tenant's config"), (status = 404, body = ProblemView)))]
pub async fn remove(State(app): State<App>, Path((id, flag)): Path<(String, String)>, call: Call) -> Result<Response, Problem> {
    apply(&app, &id, &flag, &call, None).await
}

/// Switch a flag on or off: the same below `config`.
#[utoipa::path(put, path = "/admin/tenants/{id}/config/features/{flag}", tag = "config", request_body = Flag,
    params(("id" = String, Path), ("flag" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "The tenant's config"), (status = 422, body = ProblemView)))]
pub async fn set_in_config(app: State<App>, path: Path<(String, String)>, call: Call) -> Result<Response, Problem> {
    set(app, path, call).await
}

/// Remove a flag: the same below `config`.
#[utoipa::path(delete, path = "/admin/tenants/{id}/config/features/{flag}", tag = "config",
    params(("id" = String, Path), ("flag" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "The tenant's config"), (status = 404, body = ProblemView)))]
pub async fn remove_in_config(app: State<App>, path: Path<(String, String)>, call: Call) -> Result<Response, Problem> {
    remove(app, path, call).await
}

async fn apply(app: &App, id: &str, flag: &str, call: &Call, value: Option<bool>) -> Result<Response, Problem> {
    write(app, call, || async {
        let current = app.find(id).await?;
        call.check_match(&current)?;
        let change = set_feature(&current, flag, value, &app.config, &call.cause)?;
        let body = json_of(&change.tenant.config);
        Ok(Outcome::ok(change, body))
    })
    .await
}
