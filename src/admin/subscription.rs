//! `PUT /admin/tenants/{id}/subscription`: the plan, how often it is paid, and what is bought and agreed besides; with `dryRun`, what
//! that would come to.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::App;
use super::call::{Call, etag, present};
use super::error::Problem;
use super::idempotency::{Outcome, write};
use super::invoice_views::line_json;
use super::invoices::find;
use super::views::{ProblemView, TenantView, json_of, limits};
use crate::billing::quote::{Quote, QuoteError};
use crate::model::subscription::OtherLimits;
use crate::model::{BillingCycle, InvoiceId, InvoiceStatus, Millis, Money, Overrides, Tenant};
use crate::tenancy::{Change, Planned, Versioned, Wanted, When, Work, exceeded, plan_change};

/// The subscription as it shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Name of a plan.
    #[schema(example = "enterprise")]
    plan: String,
    /// Another version of it: a number, 0 for the newest. Without it a tenant keeps the version that it has of its plan, and gets
    /// the newest of another.
    plan_version: Option<u32>,
    /// `monthly` (default) or `yearly`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "yearly")]
    billing_cycle: BillingCycle,
    /// All add-ons; without it they stay.
    add_ons: Option<Vec<AddOnBody>>,
    /// What is agreed with this tenant alone; `null` is nothing any more. It ends with a move to another plan.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<OverridesBody>)]
    overrides: Option<Option<OverridesBody>>,
    /// What a preview gave: exactly that is charged, if it is not older than 10 minutes.
    quote: Option<String>,
}

/// An add-on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddOnBody {
    /// Its name in the catalogue.
    name: String,
    /// How many; 1 by default.
    quantity: Option<u64>,
}

/// What is agreed with one tenant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OverridesBody {
    /// Price of a month, in minor units.
    price_monthly_minor: Option<i64>,
    /// Price of a year, in minor units.
    price_yearly_minor: Option<i64>,
    /// Limits that differ from the plan's: `maxUsers`, `maxProjects`, `maxStorage`, `maxApiCalls`, `maxBandwidth`; `null` is unlimited.
    #[schema(value_type = Option<Object>)]
    limits: Option<OtherLimits>,
}

/// Change the subscription. More per month comes at once and is charged for the rest of the period, less comes with the next one,
/// another cycle begins anew; of a suspended tenant, when it begins its next period. With `dryRun=true` nothing is changed: the answer is
/// `{lines, total, totalMinor, effectiveAt, limits, wouldExceed, replaces, quote}`; `replaces`, where it is there, is the change that was
/// to come instead.
#[utoipa::path(put, path = "/admin/tenants/{id}/subscription", tag = "tenants", request_body = Subscription,
    params(("id" = String, Path), ("If-Match" = Option<String>, Header), ("dryRun" = Option<bool>, Query)),
    responses((status = 200, body = TenantView), (status = 409, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn replace(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let query = call.query(&["dryRun"])?;
    let is_preview = query.parse::<bool>("dryRun", "true or false")? == Some(true);
    let body: Subscription = call.json()?;
    if is_preview {
        let current = app.find(&id).await?;
        call.check_match(&current)?;
        let now = call.cause.now;
        let (_, planned) = compute(&app, &current, &body, now, &call).await?;
        return Ok(axum::Json(preview(&app, &current.value, &planned, now).await?).into_response());
    }
    let done = write(&app, &call, || async {
        let current = app.find(&id).await?;
        call.check_match(&current)?;
        let quote = body.quote.as_deref().map(|text| app.quotes.read(text, current.value.id, call.cause.now)).transpose();
        let quote = quote.map_err(refused)?;
        let at = quote.as_ref().map_or(call.cause.now, |quote| quote.at);
        let (change, planned) = compute(&app, &current, &body, at, &call).await?;
        if quote.is_some_and(|quote| quote.digest != planned.digest || quote.total != planned.total()) {
            return Err(refused(QuoteError::Outdated));
        }
        let body = app.changed_json(&change);
        Ok(Outcome::ok(change, body))
    })
    .await?;
    let tenant = app.find(&id).await?;
    match &tenant.value.subscription.awaiting {
        Some(awaiting) => collected(&app, &id, awaiting.invoice, call.cause.now).await,
        None => Ok(done),
    }
}

/// A change that is paid first: the provider is asked at once, and its answer decides.
async fn collected(app: &App, id: &str, invoice: InvoiceId, now: Millis) -> Result<Response, Problem> {
    let tenant = app.find(id).await?.value.id;
    app.biller.catch_up(tenant, now).await?;
    let (tenant, invoice) = find(app, &invoice.to_string()).await?;
    if invoice.value.standing.status == InvoiceStatus::Void {
        let why = invoice.value.standing.attempts.last().and_then(|attempt| attempt.message.clone()).unwrap_or_default();
        let detail = format!("The payment of {} was declined, so nothing was changed. {why}", invoice.value.issued.number);
        return Err(Problem::new(StatusCode::PAYMENT_REQUIRED, "payment_failed", "Payment declined", detail));
    }
    // Paid, or its outcome is not known yet: then `pendingChange` says so.
    Ok(tagged(&etag(&tenant), app.tenant_json(&tenant.value)))
}

/// The change as of `at`, and what it comes to.
async fn compute(
    app: &App,
    current: &Versioned<Tenant>,
    body: &Subscription,
    at: Millis,
    call: &Call,
) -> Result<(Change, Planned), Problem> {
    let overrides = body.overrides.as_ref().map(|given| {
        given.as_ref().map(|given| Overrides {
            price_monthly: given.price_monthly_minor.map(Money),
            price_yearly: given.price_yearly_minor.map(Money),
            limits: given.limits.unwrap_or_default(),
        })
    });
    let add_ons = body.add_ons.as_ref().map(|given| given.iter().map(|one| (one.name.clone(), one.quantity.unwrap_or(1))).collect());
    let wanted = Wanted { plan: body.plan.clone(), plan_version: body.plan_version, billing_cycle: body.billing_cycle, add_ons, overrides };
    let desk = app.biller.desk();
    let terms = wanted.terms(&current.value, desk).map_err(Problem::invalid)?;
    let metered = app.biller.metered_with(&current.value, &terms, call.cause.now).await?;
    let mut work = Work::on(current, desk, &call.cause);
    let planned = plan_change(&mut work, terms, at, &metered)?;
    Ok((work.done()?, planned))
}

/// What a change would come to.
async fn preview(app: &App, tenant: &Tenant, planned: &Planned, now: Millis) -> Result<Value, Problem> {
    let currency = app.config.billing.currency.as_str();
    let total = planned.total();
    let plan = app.tenants.plans.of(&planned.terms).map(|plan| planned.terms.applied_to(&plan));
    let usage = app.usage.month(tenant.id, now.day().month(), now).await?;
    let over = plan.as_ref().map(|plan| exceeded(&plan.limits, &usage)).unwrap_or_default();
    let over: Vec<Value> =
        over.into_iter().map(|(resource, limit, used)| json!({"resource": resource, "limit": limit, "used": used})).collect();
    let quote = Quote { tenant: tenant.id, at: now, digest: planned.digest.clone(), total };
    let mut told = json!({
        "lines": planned.lines().iter().map(|line| line_json(line, currency)).collect::<Vec<_>>(),
        "total": total.major(currency),
        "totalMinor": total,
        "currency": currency,
        "effectiveAt": match planned.when {
            When::Now => now,
            When::PeriodEnd(end) => end,
        },
        "limits": plan.map(|plan| json_of(&limits(&plan.limits))),
        "wouldExceed": over,
        "quote": app.quotes.sign(&quote),
    });
    if let Some(undone) = tenant.subscription.pending.as_ref().filter(|pending| **pending != planned.terms) {
        told["replaces"] = json!({"plan": undone.plan, "planVersion": undone.plan_version, "billingCycle": undone.billing_cycle});
    }
    Ok(told)
}

fn tagged(tag: &str, body: Value) -> Response {
    let mut response = axum::Json(body).into_response();
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn refused(error: QuoteError) -> Problem {
    let code = match error {
        QuoteError::Forged => "invalid",
        QuoteError::Expired => "expired",
        QuoteError::Outdated => "outdated",
    };
    Problem::field("/quote", code, error.to_string())
}
