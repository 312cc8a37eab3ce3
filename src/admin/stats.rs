//! `/admin/stats`: how many tenants there are in each state, and the revenue of a month.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::App;
use super::call::Call;
use super::error::Problem;
use super::revenue_views::{Told, revenue_json};
use super::views::ProblemView;
use crate::billing::revenue::{Account, Moves};
use crate::model::{Month, Status};
use crate::tenancy::Movement;

/// Tenants by status (`total` is without deleted ones), and by currency the revenue of a month; `month` is the current one by default.
///
/// Of a month that is over, amounts and customers are those of its end; what is owed and which trials run is told of the current one
/// only. The README says what counts where.
#[utoipa::path(get, path = "/admin/stats", tag = "stats", params(("month" = Option<String>, Query, example = "2026-11")),
    responses((status = 200, description = "`{\"tenants\": {total, trial, active, past_due, suspended, canceled, deleted}, \"revenue\": {\"USD\": {month, mrr, arr, customers, averagePerCustomer, new, reactivation, expansion, contraction, churn, churnRate, revenueChurnRate, netRevenueRetention, trials, open, overdue, …Minor}}, \"timestamp\": …}`"),
        (status = 422, body = ProblemView)))]
pub async fn read(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let current = call.cause.now.day().month();
    let month = call.query(&["month"])?.parse::<Month>("month", "a month such as 2026-11")?.unwrap_or(current);
    if month > current {
        return Err(Problem::field("/query/month", "invalid", format!("{month} has not begun; it is {current}")));
    }
    let counts = app.tenants.count().await?;
    let total: u64 = counts.iter().filter(|(status, _)| *status != Status::Deleted).map(|(_, count)| count).sum();
    let mut tenants = Map::new();
    tenants.insert("total".to_owned(), json!(total));
    tenants.extend(counts.iter().map(|(status, count)| (status.as_str().to_owned(), json!(count))));
    let revenue = revenue(&app, month, month == current).await?;
    Ok(axum::Json(json!({"tenants": Value::Object(tenants), "revenue": revenue, "timestamp": call.cause.now})).into_response())
}

/// By currency; the configured one is always there.
async fn revenue(app: &App, month: Month, is_current: bool) -> Result<Map<String, Value>, Problem> {
    let wanted = month.to_string();
    let mut moved: BTreeMap<String, (Moves, Moves)> = BTreeMap::new();
    moved.entry(app.config.billing.currency.clone()).or_default();
    let take = |figures: &Movement| {
        let (within, since) = moved.entry(figures.currency.clone()).or_default();
        if figures.month == wanted { within.take(figures) } else { since.take(figures) }
    };
    app.biller.bills().movements(month, take).await?;
    let totals = app.tenants.directory.accounts().totals();
    for currency in totals.keys() {
        moved.entry(currency.clone()).or_default();
    }
    let told = moved.into_iter().map(|(currency, (within, since))| {
        let now = totals.get(&currency).copied().unwrap_or_default();
        let account = Account::of(now.paying(), within, since.net());
        let told = Told { month: &wanted, account, now: is_current.then_some(now) };
        let json = revenue_json(&told, &currency);
        (currency, json)
    });
    Ok(told.collect())
}
