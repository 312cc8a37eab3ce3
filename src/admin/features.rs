//! `/admin/tenants/{id}/features`: how each feature flag of a tenant stands, and what decides that; `…/{flag}`, also below `config`,
//! switches one.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::call::Call;
use super::error::Problem;
use super::idempotency::{Outcome, write};
use super::views::{ProblemView, json_of, page_json};
use super::{AdminState, App};
use crate::model::{Tenant, is_flag};
use crate::tenancy::{FlagState, flags_of, set_feature};

/// A flag's state; a bare `true` or `false` is taken as well.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Flag {
    /// On or off.
    enabled: bool,
}

/// Longer than the ids of any identity provider.
const MOST_USER: usize = 512;

/// Every flag that the tenant, its plan, a roll-out or a route names, as it stands, and what decided: `deployment`, `tenant`, `plan`,
/// `rollout` or `default`. Flags that are rolled out by user are off unless `user` says for whom.
#[utoipa::path(get, path = "/admin/tenants/{id}/features", tag = "config",
    params(("id" = String, Path), ("user" = Option<String>, Query, description = "A user's id, as its token says it.")),
    responses((status = 200, description = "`{\"data\": [{name, enabled, source, override, planDefault, rollout: {percentage, by, plans}}], \"nextCursor\": null}`"),
        (status = 404, body = ProblemView)))]
pub async fn list(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let query = call.query(&["user"])?;
    let user = query.get("user");
    if user.is_some_and(|user| user.len() > MOST_USER) {
        return Err(Problem::field("/query/user", "too_long", format!("the id of a user has at most {MOST_USER} octets")));
    }
    let tenant = app.find(&id).await?.value;
    let states = app.flags(&tenant, user);
    Ok(axum::Json(page_json(states.iter().map(state_json).collect(), None)).into_response())
}

impl AdminState {
    /// How the flags of a tenant stand.
    pub fn flags(&self, tenant: &Tenant, user: Option<&str>) -> Vec<FlagState> {
        let Some(plan) = self.plan_of(tenant) else { return Vec::new() };
        let routes: Vec<&str> =
            self.config.routes.iter().filter_map(|route| route.feature.as_deref()).filter(|flag| is_flag(flag)).collect();
        flags_of(tenant, &plan, &self.tenants.directory.rollouts(), user, &routes)
    }
}

fn state_json(state: &FlagState) -> Value {
    let rollout = state.rollout.as_ref();
    json!({
        "name": state.name, "enabled": state.enabled, "source": state.source, "override": state.own, "planDefault": state.plan_default,
        "rollout": rollout.map(|rollout| json!({"percentage": rollout.percentage, "by": rollout.by, "plans": rollout.plans})),
    })
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
