//! `/admin/plans`: the catalogue. A version of a plan never changes; what is added is a new plan, or the next version of one.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::App;
use super::add_ons::add_ons_json;
use super::call::Call;
use super::error::Problem;
use super::idempotency::write_other;
use super::plan_bodies::PlanBody;
use super::plan_views::{listed_json, status_of};
use super::views::{ProblemView, page_json};
use crate::tenancy::{add_plan, did_you_mean, withdraw_plan};

/// The newest version of each plan that is offered, the cheapest first: prices (also in minor units), limits, rate, requests in flight
/// and overage; and the add-ons.
#[utoipa::path(get, path = "/admin/plans", tag = "plans",
    responses((status = 200, description = "`{\"data\": [Plan], \"nextCursor\": null, \"addOns\": [AddOn]}`")))]
pub async fn list(State(app): State<App>) -> Result<Response, Problem> {
    let currency = &app.config.billing.currency;
    let mut offered = app.tenants.plans.all(None);
    offered.retain(|listed| listed.is_offered);
    offered.sort_by(|one, other| (one.plan.price_monthly, &one.plan.name).cmp(&(other.plan.price_monthly, &other.plan.name)));
    let mut page = page_json(offered.iter().map(|listed| listed_json(listed, currency)).collect(), None);
    page["addOns"] = Value::Array(add_ons_json(&app));
    Ok(axum::Json(page).into_response())
}

/// Every version of a plan, the newest first, with where it comes from, whether tenants can move to it, and how many have it.
#[utoipa::path(get, path = "/admin/plans/{name}", tag = "plans", params(("name" = String, Path)),
    responses((status = 200, description = "`{\"name\": …, \"versions\": [Plan]}`; each with `source`, `createdAt`, `isOffered` and `tenants`"),
        (status = 404, body = ProblemView)))]
pub async fn read(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Problem> {
    let currency = &app.config.billing.currency;
    let mut versions = app.tenants.plans.all(Some(&name));
    versions.reverse();
    if versions.is_empty() {
        return Err(no_plan(&app, &name));
    }
    let tenants = app.tenants.directory.on_plan(&name);
    let versions = versions.iter().map(|listed| {
        let mut view = listed_json(listed, currency);
        view["tenants"] = json!(tenants.get(&listed.plan.version).copied().unwrap_or(0));
        view
    });
    let versions: Vec<Value> = versions.collect();
    Ok(axum::Json(json!({"name": name, "versions": versions})).into_response())
}

/// Add a plan, or the next version of one, which tenants get from now on; those who have the plan keep their version until they are
/// moved. A plan just like the newest version is there already (200).
#[utoipa::path(post, path = "/admin/plans", tag = "plans", request_body = PlanBody, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, description = "The version, as in the list"), (status = 200, description = "It is there already"),
        (status = 409, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn add(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let plan = call.json::<PlanBody>()?.read(&app.config.billing.currency)?;
    write_other(&app, &call, |slip| async {
        let currency = app.config.billing.currency.clone();
        let answer = move |listed: &_, added| (status_of(added), listed_json(listed, &currency));
        let kept = answer.clone();
        let (listed, added) = add_plan(&app.tenants, plan.clone(), &call.cause, move |listed, added, tx| {
            let (status, body) = kept(listed, added);
            slip.keep(tx, status, body)
        })
        .await?;
        Ok(answer(&listed, added))
    })
    .await
}

/// Offer a plan to nobody any more. Who has it keeps it; posted again, it is offered in its next version. One of the configuration is
/// taken out there.
#[utoipa::path(delete, path = "/admin/plans/{name}", tag = "plans", params(("name" = String, Path)),
    responses((status = 200, description = "Its newest version, as in the list"), (status = 404, body = ProblemView),
        (status = 409, body = ProblemView)))]
pub async fn withdraw(State(app): State<App>, Path(name): Path<String>, call: Call) -> Result<Response, Problem> {
    if app.config.plans.contains_key(&name) {
        return Err(Problem::configured(&format!("The plan `{name}`"), "take it out there"));
    }
    let listed = withdraw_plan(&app.tenants, &name, &call.cause).await?.ok_or_else(|| no_plan(&app, &name))?;
    Ok(axum::Json(listed_json(&listed, &app.config.billing.currency)).into_response())
}

fn no_plan(app: &App, name: &str) -> Problem {
    let all = app.tenants.plans.all(None);
    let hint = did_you_mean(name, all.iter().map(|listed| listed.plan.name.as_str()));
    let shown: String = name.chars().take(80).collect();
    Problem::not_found("Plan not found", format!("There is no plan `{shown}`{hint}."))
}
