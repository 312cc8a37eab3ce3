//! `/admin/add-ons`: what can be bought beside a plan. Who has bought one keeps it at its price, whatever becomes of it here.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::AdminState;
use super::App;
use super::call::Call;
use super::error::Problem;
use super::idempotency::write_other;
use super::plan_bodies::AddOnBody;
use super::plan_views::{add_on_json, status_of};
use super::views::{ProblemView, page_json};
use crate::tenancy::{Source, add_add_on, did_you_mean, withdraw_add_on};

/// What can be bought beside a plan.
#[utoipa::path(get, path = "/admin/add-ons", tag = "plans",
    responses((status = 200, description = "`{\"data\": [AddOn], \"nextCursor\": null}`")))]
pub async fn list(State(app): State<App>) -> Result<Response, Problem> {
    Ok(axum::Json(page_json(add_ons_json(&app), None)).into_response())
}

/// Add an add-on, or put another in its place (200). One of the configuration is changed there.
#[utoipa::path(post, path = "/admin/add-ons", tag = "plans", request_body = AddOnBody, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, description = "The add-on, as in the list"), (status = 200, description = "In the place of another"),
        (status = 409, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn add(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let add_on = call.json::<AddOnBody>()?.read(&app.config.billing.currency)?;
    if app.config.add_ons.contains_key(&add_on.name) {
        return Err(Problem::configured(&format!("The add-on `{}`", add_on.name), "change it there, or take another name"));
    }
    write_other(&app, &call, |slip| async {
        let body = add_on_json(&add_on, Source::Api, &app.config.billing.currency);
        let kept = body.clone();
        let along = move |_: &_, added, tx: &mut _| slip.keep(tx, status_of(added), kept);
        let added = add_add_on(&app.tenants, add_on.clone(), &call.cause, along).await?;
        Ok((status_of(added), body))
    })
    .await
}

/// Sell an add-on to nobody any more. Who has bought it keeps it. One of the configuration is taken out there.
#[utoipa::path(delete, path = "/admin/add-ons/{name}", tag = "plans", params(("name" = String, Path)),
    responses((status = 200, description = "The add-on, as in the list"), (status = 404, body = ProblemView),
        (status = 409, body = ProblemView)))]
pub async fn withdraw(State(app): State<App>, Path(name): Path<String>, call: Call) -> Result<Response, Problem> {
    if app.config.add_ons.contains_key(&name) {
        return Err(Problem::configured(&format!("The add-on `{name}`"), "take it out there"));
    }
    let add_on = withdraw_add_on(&app.tenants, &name, &call.cause).await?.ok_or_else(|| {
        let known = app.tenants.plans.add_ons();
        let hint = did_you_mean(&name, known.iter().map(|add_on| add_on.name.as_str()));
        let shown: String = name.chars().take(80).collect();
        Problem::not_found("Add-on not found", format!("There is no add-on `{shown}`{hint}."))
    })?;
    Ok(axum::Json(add_on_json(&add_on, Source::Api, &app.config.billing.currency)).into_response())
}

/// All add-ons as JSON writes them.
pub fn add_ons_json(app: &AdminState) -> Vec<Value> {
    let source = |name: &str| if app.config.add_ons.contains_key(name) { Source::Config } else { Source::Api };
    let all = app.tenants.plans.add_ons();
    all.iter().map(|add_on| add_on_json(add_on, source(&add_on.name), &app.config.billing.currency)).collect()
}
