//! `/admin/stats`: how many tenants there are in each state, and the revenue of a month.

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

/// By currency, of which a store has one.
async fn revenue(app: &App, month: Month, is_current: bool) -> Result<Map<String, Value>, Problem> {
    let accounts = app.tenants.directory.accounts();
    let now = accounts.totals();
    let wanted = month.to_string();
    let (mut within, mut since) = (Moves::default(), Moves::default());
    if is_current {
        within = accounts.moves(month);
    } else {
        let take = |figures: &Movement| *(if figures.month == wanted { &mut within } else { &mut since }) += Moves::of(figures.into());
        app.biller.bills().movements(month, take).await?;
    }
    let account = Account::of(now.paying(), within, since.net());
    let told = Told { month: &wanted, account, now: is_current.then_some(now) };
    let currency = &app.config.billing.currency;
    Ok([(currency.clone(), revenue_json(&told, currency))].into_iter().collect())
}
