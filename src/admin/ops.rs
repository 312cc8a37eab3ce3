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

/// The gateway takes requests: not while it starts or drains, nor without its store. Needs no token.
#[utoipa::path(get, path = "/readyz", tag = "operations", responses((status = 200, description = "Ready"), (status = 503, body = ProblemView)))]
pub async fn readyz(State(app): State<App>) -> Result<Response, Problem> {
    let unready = |detail: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "Not ready", detail);
    if !(app.ready)() {
        return Err(unready("Gatehouse is starting or draining."));
    }
    app.tenants.store.version().await.map_err(|_| unready("The store is not available."))?;
    Ok(axum::Json(json!({"status": "ready"})).into_response())
}

/// Numbers in OpenMetrics text.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, description = "OpenMetrics text")))]
pub async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let counts = app.tenants.count().await?;
    app.metrics.tenants(&counts.iter().map(|(status, count)| (status.as_str(), *count)).collect::<Vec<_>>());
    let mut response = app.metrics.render().into_response();
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
