//! `/admin/features`: flags that are rolled out to a part of all tenants or users. A change holds for the next request of every tenant.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::App;
use super::call::Call;
use super::error::Problem;
use super::views::{ProblemView, json_of, page_json};
use crate::model::{Percentage, RolloutBy};
use crate::tenancy::{NewRollout, did_you_mean, remove_rollout, set_rollout};

/// How a flag is rolled out. What the API shows can be sent back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewRollout)]
#[allow(dead_code, reason = "members that only the API sets are taken and not read")]
pub struct RolloutBody {
    /// From 0 to 100, with at most two decimals.
    #[schema(value_type = f64, example = 12.5)]
    percentage: Percentage,
    /// `tenant` (default) or `user`.
    #[schema(value_type = Option<String>, example = "tenant")]
    by: Option<RolloutBy>,
    /// Only for tenants on these plans; `null`, or left out, is all.
    plans: Option<Vec<String>>,
    /// For operators.
    description: Option<String>,
    /// Not read.
    flag: Option<String>,
    /// Not read.
    updated_at: Option<i64>,
}

/// Every roll-out, by the name of its flag.
#[utoipa::path(get, path = "/admin/features", tag = "features",
    responses((status = 200, description = "`{\"data\": [{flag, percentage, by, plans, description, updatedAt}], \"nextCursor\": null}`")))]
pub async fn list(State(app): State<App>) -> Result<Response, Problem> {
    let rollouts = app.tenants.directory.rollouts();
    Ok(axum::Json(page_json(rollouts.by_flag.values().map(|rollout| json_of(&**rollout)).collect(), None)).into_response())
}

/// One roll-out.
#[utoipa::path(get, path = "/admin/features/{flag}", tag = "features", params(("flag" = String, Path)),
    responses((status = 200, description = "`{flag, percentage, by, plans, description, updatedAt}`"), (status = 404, body = ProblemView)))]
pub async fn read(State(app): State<App>, Path(flag): Path<String>) -> Result<Response, Problem> {
    let rollouts = app.tenants.directory.rollouts();
    let rollout = rollouts.by_flag.get(&flag).ok_or_else(|| missing(&app, &flag))?;
    Ok(axum::Json(json_of(&**rollout)).into_response())
}

/// Roll a flag out, or change how it is rolled out. Raising `percentage` keeps everybody who has the flag. The config of a tenant and
/// its plan win over it.
#[utoipa::path(put, path = "/admin/features/{flag}", tag = "features", params(("flag" = String, Path)), request_body = RolloutBody,
    responses((status = 200, description = "The roll-out"), (status = 422, body = ProblemView)))]
pub async fn set(State(app): State<App>, Path(flag): Path<String>, call: Call) -> Result<Response, Problem> {
    let RolloutBody { percentage, by, plans, description, .. } = call.json()?;
    let description = description.filter(|text| !text.trim().is_empty());
    let new = NewRollout { flag, percentage, by: by.unwrap_or_default(), plans, description };
    let rollout = set_rollout(&app.tenants, new, &call.cause).await?;
    Ok(axum::Json(json_of(&*rollout)).into_response())
}

/// End a roll-out: the flag is off where neither a tenant's config nor its plan says otherwise.
#[utoipa::path(delete, path = "/admin/features/{flag}", tag = "features", params(("flag" = String, Path)),
    responses((status = 200, description = "The roll-out as it was"), (status = 404, body = ProblemView)))]
pub async fn remove(State(app): State<App>, Path(flag): Path<String>, call: Call) -> Result<Response, Problem> {
    let removed = remove_rollout(&app.tenants, &flag, &call.cause).await?.ok_or_else(|| missing(&app, &flag))?;
    Ok(axum::Json::<Value>(json_of(&*removed)).into_response())
}

fn missing(app: &App, flag: &str) -> Problem {
    let rollouts = app.tenants.directory.rollouts();
    let hint = did_you_mean(flag, rollouts.by_flag.keys().map(String::as_str));
    let shown: String = flag.chars().take(80).collect();
    Problem::not_found("Roll-out not found", format!("No flag `{shown}` is rolled out{hint}."))
}
