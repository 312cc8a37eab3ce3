//! `/admin/stats`: how many tenants there are in each state.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::App;
use super::call::Call;
use super::error::Problem;
use crate::model::Status;

/// Tenants by status; `total` is without deleted ones.
#[utoipa::path(get, path = "/admin/stats", tag = "stats",
    responses((status = 200, description = "`{\"tenants\": {total, trial, active, past_due, suspended, canceled, deleted}, \"timestamp\": …}`")))]
pub async fn read(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let counts = app.tenants.count().await?;
    let total: u64 = counts.iter().filter(|(status, _)| *status != Status::Deleted).map(|(_, count)| count).sum();
    let mut tenants = Map::new();
    tenants.insert("total".to_owned(), json!(total));
    tenants.extend(counts.iter().map(|(status, count)| (status.as_str().to_owned(), json!(count))));
    Ok(axum::Json(json!({"tenants": Value::Object(tenants), "timestamp": call.cause.now})).into_response())
}
