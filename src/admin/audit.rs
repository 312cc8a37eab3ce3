//! `/admin/audit`: who did what, newest first or as an export; and whether the log is whole.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use serde_json::{Value, json};

use super::App;
use super::audit_export::export;
use super::call::{Call, Query};
use super::error::Problem;
use super::views::{ProblemView, json_of, page_json};
use crate::model::{AuditId, Millis, TenantId};
use crate::store::{Checked, Link, LoggedRow, Record, Scan, Store, StoreError, Table, check_log, rows_of};

/// Rows read at once.
pub(super) const PAGE: usize = 500;

/// List audit rows, newest first: those of one tenant, actor, action or request, or of a time. As NDJSON (`format=ndjson`, or `Accept:
/// application/x-ndjson`) it is an export of all of them, oldest first, each line as it is stored and hashed.
#[utoipa::path(get, path = "/admin/audit", tag = "audit",
    params(("tenant" = Option<String>, Query, description = "Id or slug."),
        ("actor" = Option<String>, Query, description = "The name of an operator, `admin`, `loopback`, `system`, …"),
        ("action" = Option<String>, Query, description = "Such as `tenant.created`; `tenant.*` is every action on tenants."),
        ("requestId" = Option<String>, Query, description = "What `X-Request-Id` of the answer said."),
        ("from" = Option<String>, Query, description = "Rows of this time and later: epoch milliseconds or RFC 3339."),
        ("to" = Option<String>, Query, description = "Rows before this time."),
        ("format" = Option<String>, Query, description = "`json` (a page) or `ndjson` (an export; without `limit` and `cursor`)."),
        ("limit" = Option<u16>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "`{\"data\": [{id, sequence, time, actor, source, action, tenantId, before, after, requestId, reason, previousHash, hash}], \"nextCursor\": …}`"),
        (status = 404, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn list(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let query = call.query(&["tenant", "actor", "action", "requestId", "from", "to", "format", "limit", "cursor"])?;
    let filter = Filter::of(&query)?;
    let place = Place::of(&app, &query).await?;
    if wants_export(&call, &query)? {
        return export(&app, place, filter).await;
    }
    let (cursor, limit) = (query.parse::<AuditId>("cursor", "what `nextCursor` said")?, query.limit()?);
    let mut after = cursor.map(|id| format!("{}{id}", place.prefix));
    let mut rows: Vec<LoggedRow> = Vec::new();
    let page = |rows: &[LoggedRow], next| Ok(axum::Json(page_json(rows.iter().map(json_of).collect(), next)).into_response());
    loop {
        let (records, is_last) = place.read(&*app.tenants.store, after, true).await?;
        for record in &records {
            let row = LoggedRow::read(record)?;
            if filter.is_past(&row) {
                return page(&rows, None);
            }
            if !filter.admits(&row) {
                continue;
            }
            if rows.len() == limit {
                return page(&rows, rows.last().map(|last| last.id.to_string()));
            }
            rows.push(row);
        }
        if is_last {
            return page(&rows, None);
        }
        after = records.last().map(|record| record.key.id.clone());
    }
}

/// Whether the log is whole: recomputes the chain of hashes from the first row to the newest. `head` is what an earlier call said; the
/// log must still have it.
#[utoipa::path(get, path = "/admin/audit/verify", tag = "audit",
    params(("head" = Option<String>, Query, description = "`<sequence>:<hash>` of a row, kept from an earlier call.")),
    responses((status = 200, description = "`{whole, rows, unchained, head, problems}`: `head` is `<sequence>:<hash>` of the newest row, `unchained` counts rows of versions without a chain"),
        (status = 422, body = ProblemView)))]
pub async fn verify(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let kept = call.query(&["head"])?.parse::<Link>("head", "`<sequence>:<hash>`, as an earlier call said")?;
    let checked = check_log(&*app.tenants.store, kept.as_ref()).await?;
    Ok(axum::Json(checked_json(&checked)).into_response())
}

/// What was found, as JSON writes it, here and on the command line.
pub fn checked_json(checked: &Checked) -> Value {
    let Checked { rows, unchained, head, problems } = checked;
    json!({"whole": problems.is_empty(), "rows": rows, "unchained": unchained, "head": head.to_string(), "problems": problems})
}

fn wants_export(call: &Call, query: &Query) -> Result<bool, Problem> {
    let accepts = || {
        let fields = call.headers.get_all(header::ACCEPT).iter().filter_map(|field| field.to_str().ok());
        fields.flat_map(|field| field.split(',')).any(|range| range.split(';').next().is_some_and(|it| it.trim() == "application/x-ndjson"))
    };
    let is_export = match query.get("format") {
        None => accepts(),
        Some("json") => false,
        Some("ndjson") => true,
        Some(_) => return Err(Problem::field("/query/format", "invalid", "`format` is `json` or `ndjson`")),
    };
    match ["limit", "cursor"].into_iter().find(|name| is_export && query.get(name).is_some()) {
        Some(name) => Err(Problem::field(format!("/query/{name}"), "not_available", "an export is not in pages; ask for a time instead")),
        None => Ok(is_export),
    }
}

/// Whose rows are read.
pub(super) struct Place {
    table: Table,
    /// What ids begin with.
    pub prefix: String,
}

impl Place {
    async fn of(app: &App, query: &Query) -> Result<Self, Problem> {
        let Some(text) = query.get("tenant") else { return Ok(Self { table: Table::Audit, prefix: String::new() }) };
        // Rows outlive names, so an id is taken as it is.
        let id = match text.parse::<TenantId>() {
            Ok(id) => id,
            Err(_) => app.find_kept(text).await?.value.id,
        };
        Ok(Self { table: Table::AuditByTenant, prefix: format!("{id}/") })
    }

    /// A page of rows beyond `after`, and whether it is the last.
    pub async fn read(&self, store: &dyn Store, after: Option<String>, newest_first: bool) -> Result<(Vec<Record>, bool), StoreError> {
        let scan = Scan { table: self.table, prefix: self.prefix.clone(), after, newest_first, limit: PAGE };
        let records = store.scan(scan).await?;
        let is_last = records.len() < PAGE;
        Ok((if self.table == Table::Audit { records } else { rows_of(store, records).await? }, is_last))
    }
}

/// Which rows are wanted.
pub(super) struct Filter {
    actor: Option<String>,
    action: Option<String>,
    request_id: Option<String>,
    pub from: Option<Millis>,
    to: Option<Millis>,
}

impl Filter {
    fn of(query: &Query) -> Result<Self, Problem> {
        let text = |name| query.get(name).map(str::to_owned);
        let time = |name| query.parse::<Moment>(name, "epoch milliseconds, or a time such as 2026-11-27T00:00:00Z");
        let (from, to) = (time("from")?.map(|it| it.0), time("to")?.map(|it| it.0));
        Ok(Self { actor: text("actor"), action: text("action"), request_id: text("requestId"), from, to })
    }

    pub fn admits(&self, row: &LoggedRow) -> bool {
        let LoggedRow { row, .. } = row;
        let is = |wanted: &Option<String>, has: Option<&str>| wanted.is_none() || wanted.as_deref() == has;
        is(&self.actor, Some(&row.actor))
            && self.action.as_ref().is_none_or(|wanted| is_action(&row.action, wanted))
            && is(&self.request_id, row.request_id.as_deref())
            && self.from.is_none_or(|from| row.time >= from)
            && self.to.is_none_or(|to| row.time < to)
    }

    /// True where neither this row nor an older one can be wanted. The time in an id is never before that of its row, nor of older rows.
    fn is_past(&self, row: &LoggedRow) -> bool {
        self.from.is_some_and(|from| row.id < first_of(from))
    }
}

/// No row of this time or later has an id before this.
pub(super) fn first_of(time: Millis) -> AuditId {
    let mut octets = [0; 16];
    octets[..6].copy_from_slice(&time.0.max(0).to_be_bytes()[2..]);
    AuditId::from_bytes(octets)
}

/// A time as queries have it.
struct Moment(Millis);

impl std::str::FromStr for Moment {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let millis = text.parse::<i64>().ok();
        // A plus that was not escaped in the query has become a space.
        let time = || text.replace(' ', "+").parse::<jiff::Timestamp>().ok().map(|time| time.as_millisecond());
        millis.or_else(time).map(|millis| Self(Millis(millis))).ok_or(())
    }
}

fn is_action(action: &str, wanted: &str) -> bool {
    wanted.strip_suffix('*').map_or(action == wanted, |start| action.starts_with(start))
}
