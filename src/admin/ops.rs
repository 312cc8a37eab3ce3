//! What machines ask: is it alive, is it ready, what are its numbers.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::App;
use super::error::Problem;
use super::views::ProblemView;

/// The process answers. Needs no token.
#[utoipa::path(get, path = "/livez", tag = "operations", responses((status = 200, description = "Alive")))]
pub async fn livez() -> Response {
    axum::Json(json!({"status": "alive"})).into_response()
}

/// The gateway takes requests: not while it starts or drains. `store` says whether changes can be made. Needs no token.
#[utoipa::path(get, path = "/readyz", tag = "operations", responses((status = 200, description = "Ready"), (status = 503, body = ProblemView)))]
pub async fn readyz(State(app): State<App>) -> Result<Response, Problem> {
    let unready = |detail: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "Not ready", detail);
    if !(app.ready)() {
        return Err(unready("Gatehouse is starting or draining."));
    }
    // Known tenants are served and counted without the store, so its loss is told, and no reason to send traffic elsewhere.
    let store = if app.tenants.store.version().await.is_ok() { "available" } else { "unavailable" };
    Ok(axum::Json(json!({"status": "ready", "store": store})).into_response())
}

/// Numbers in OpenMetrics text.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, description = "OpenMetrics text")))]
pub async fn metrics(State(app): State<App>) -> Response {
    app.metrics.tenants(&app.tenants.directory.by_status().into_iter().collect::<Vec<_>>());
    let mut response = app.metrics.render().into_response();
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
