//! `/admin/usage/verify` and `/admin/tenants/{id}/usage/verify`: whether every call that took a place is accounted for.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::App;
use super::error::Problem;
use super::views::ProblemView;
use crate::metering::{Balance, Counted, verify};

/// The balance of all tenants, and of those whose sums do not close.
#[utoipa::path(get, path = "/admin/usage/verify", tag = "usage",
    responses((status = 200, description = "`{closes, tenants, slots, admitted, metered, givenBack, aborted, inFlight, unexplained, ahead, open: [{tenantId, …}]}`: admitted = metered + givenBack + aborted + inFlight")))]
pub async fn all(State(app): State<App>) -> Result<Response, Problem> {
    let balances = verify(&*app.tenants.store, Counted::Live(&app.journal), None).await?;
    let sum = balances.values().fold(Balance::default(), Balance::plus);
    let open = balances.iter().filter(|(_, balance)| !balance.closes());
    let open: Vec<Value> = open.map(|(tenant, balance)| with(balance_json(balance), "tenantId", json!(tenant))).collect();
    let body = with(with(balance_json(&sum), "tenants", json!(balances.len())), "open", json!(open));
    Ok(axum::Json(body).into_response())
}

/// The balance of one tenant.
#[utoipa::path(get, path = "/admin/tenants/{id}/usage/verify", tag = "usage", params(("id" = String, Path)),
    responses((status = 200, description = "`{tenantId, closes, slots, admitted, metered, givenBack, aborted, inFlight, unexplained, ahead}`"),
        (status = 404, body = ProblemView)))]
pub async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    let tenant = app.find(&id).await?.value.id;
    let balances = verify(&*app.tenants.store, Counted::Live(&app.journal), Some(tenant)).await?;
    let balance = balances.get(&tenant).copied().unwrap_or_default();
    Ok(axum::Json(with(balance_json(&balance), "tenantId", json!(tenant))).into_response())
}

/// A balance as JSON writes it, here and on the command line.
pub fn balance_json(balance: &Balance) -> Value {
    let Balance { slots, admitted, metered, given_back, aborted, in_flight, unexplained, ahead } = *balance;
    json!({
        "closes": balance.closes(), "slots": slots, "admitted": admitted, "metered": metered, "givenBack": given_back,
        "aborted": aborted, "inFlight": in_flight, "unexplained": unexplained, "ahead": ahead,
    })
}

fn with(mut document: Value, name: &str, value: Value) -> Value {
    document[name] = value;
    document
}
