//! `/admin/audit`: who did what, newest first.

use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::App;
use super::call::Call;
use super::error::Problem;
use super::views::{ProblemView, json_of, page_json};
use crate::model::{AuditId, TenantId};
use crate::store::{AuditRow, Scan, StoreError, Table};

/// Rows read at once.
const PAGE: usize = 500;

/// List audit rows, newest first, of one tenant or one action where asked for.
#[utoipa::path(get, path = "/admin/audit", tag = "audit",
    params(("tenant" = Option<String>, Query, description = "Id or slug."),
        ("action" = Option<String>, Query, description = "Such as `tenant.created`; `tenant.*` is every action on tenants."),
        ("limit" = Option<u16>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "`{\"data\": [{id, time, actor, action, tenantId, before, after, requestId}], \"nextCursor\": …}`"),
        (status = 404, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn list(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let query = call.query(&["tenant", "action", "limit", "cursor"])?;
    let cursor = query.parse::<AuditId>("cursor", "what `nextCursor` said")?;
    let (action, limit) = (query.get("action"), query.limit()?);
    let (table, prefix) = match query.get("tenant") {
        None => (Table::Audit, String::new()),
        // Rows outlive names, so an id is taken as it is.
        Some(text) => match text.parse::<TenantId>() {
            Ok(id) => (Table::AuditByTenant, format!("{id}/")),
            Err(_) => (Table::AuditByTenant, format!("{}/", app.find_kept(text).await?.value.id)),
        },
    };
    let mut after = cursor.map(|id| format!("{prefix}{id}"));
    let mut rows: Vec<AuditRow> = Vec::new();
    loop {
        let scan = Scan { table, prefix: prefix.clone(), after, newest_first: true, limit: PAGE };
        let records = app.tenants.store.scan(scan).await?;
        for record in &records {
            let damaged = |error: serde_json::Error| StoreError::Damaged(format!("audit row {}: {error}", record.key.id));
            let row: AuditRow = serde_json::from_slice(&record.value).map_err(damaged)?;
            if !action.is_none_or(|wanted| is_action(&row.action, wanted)) {
                continue;
            }
            if rows.len() == limit {
                let next = rows.last().map(|last| last.id.to_string());
                return Ok(axum::Json(page_json(rows.iter().map(json_of).collect(), next)).into_response());
            }
            rows.push(row);
        }
        if records.len() < PAGE {
            return Ok(axum::Json(page_json(rows.iter().map(json_of).collect(), None)).into_response());
        }
        after = records.last().map(|record| record.key.id.clone());
    }
}

fn is_action(action: &str, wanted: &str) -> bool {
    wanted.strip_suffix('*').map_or(action == wanted, |start| action.starts_with(start))
}
