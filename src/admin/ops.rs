//! What machines ask: is it alive, is it ready, what are its numbers.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderValue, StatusCode, Uri, header};
use serde_json::{Value, json};

use super::App;
use super::auth::Actor;
use super::error::Problem;
use super::views::ProblemView;
use crate::billing::revenue::{Flow, money};
use crate::clock::{Clock, SystemClock};
use crate::observe::{RevenueNumbers, Standing};

/// The process answers. Needs no token.
#[utoipa::path(get, path = "/livez", tag = "operations", responses((status = 200, description = "Alive")))]
pub async fn livez() -> Response {
    Json(json!({"status": "alive"})).into_response()
}

/// The gateway takes requests: not while it starts or drains. `store` says whether changes can be made. Needs no token.
///
/// With `verbose`, each part says since when it fails (and why, to those who may use the admin API), and the journal how much
/// room it has.
#[utoipa::path(get, path = "/readyz", tag = "operations", params(("verbose" = Option<String>, Query)),
    responses((status = 200, description = "Ready"), (status = 503, body = ProblemView)))]
pub async fn readyz(State(app): State<App>, Extension(actor): Extension<Actor>, uri: Uri) -> Result<Response, Problem> {
    let unready = |detail: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "Not ready", detail);
    if !(app.ready)() {
        return Err(unready("Gatehouse is starting or draining."));
    }
    let query = uri.query().unwrap_or_default();
    if url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "verbose") {
        return Ok(Json(parts(&app, !actor.is_stranger()).await).into_response());
    }
    // Known tenants are served and counted without the store, so its loss is told, and no reason to send traffic elsewhere.
    let store = if app.tenants.store.version().await.is_ok() { "available" } else { "unavailable" };
    Ok(Json(json!({"status": "ready", "store": store})).into_response())
}

/// Numbers in OpenMetrics text.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, description = "OpenMetrics text")))]
pub async fn metrics(State(app): State<App>) -> Response {
    app.metrics.tenants(&app.tenants.directory.by_status().into_iter().collect::<Vec<_>>());
    let now = SystemClock.now();
    app.metrics.domains(&app.keeper.by_status(now));
    if let Some(certificates) = app.keeper.certificates() {
        let (files, acme, soonest_expiry) = certificates.census();
        app.metrics.certificates((files, acme, certificates.faults()), soonest_expiry);
    }
    app.metrics.revenue(revenue(&app));
    app.metrics.duties(&app.duties, app.journal.room(app.clock.now().day()));
    let mut response = app.metrics.render().into_response();
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Kept along with each change, so that a scrape costs the same however many tenants there are.
fn revenue(app: &App) -> RevenueNumbers {
    let currency = app.config.billing.currency.clone();
    let accounts = app.tenants.directory.accounts();
    let (totals, moves) = (accounts.totals(), accounts.moves(app.clock.now().day().month()));
    let moved = |name, flow: Flow| (name, flow.monthly().major(&currency), flow.customers);
    RevenueNumbers {
        mrr: totals.paying().monthly().major(&currency),
        arr: money(totals.yearly).major(&currency),
        open: money(totals.open).major(&currency),
        overdue: money(totals.overdue).major(&currency),
        customers: totals.customers,
        moved: [
            moved("new", moves.new),
            moved("reactivation", moves.reactivation),
            moved("expansion", moves.expansion),
            moved("contraction", moves.contraction),
            moved("churn", moves.churn),
        ],
        trials: [("running", totals.trials), ("converted", moves.converted), ("lost", moves.lost)],
        issued: accounts.issued(),
        currency,
    }
}

/// Every part with its details. Reasons name files of this machine, which are nothing for strangers.
async fn parts(app: &App, reasons: bool) -> Value {
    let now = app.clock.now();
    // A failure that the last turn has not seen yet, or that is over since.
    app.duties.store.ended(now, &app.tenants.store.version().await);
    let room = app.journal.room(now.day());
    let mut journal = part(app.duties.journal.standing(), ["ok", "failing"], reasons);
    journal["freeSlots"] = json!(room.free_slots);
    journal["unusedSegments"] = json!(room.unused_segments);
    journal["freeReports"] = json!(room.free_reports);
    json!({
        "status": "ready",
        "store": part(app.duties.store.standing(), ["available", "unavailable"], reasons),
        "fold": part(app.duties.fold.standing(), ["ok", "failing"], reasons),
        "journal": journal,
    })
}

fn part(standing: Standing, [well, ill]: [&str; 2], reasons: bool) -> Value {
    let mut told = json!({"status": if standing.failing.is_some() { ill } else { well }, "lastSuccess": standing.last_success});
    if let Some(failing) = standing.failing {
        told["since"] = json!(failing.since);
        if reasons {
            told["reason"] = json!(failing.reason);
        }
    }
    told
}
