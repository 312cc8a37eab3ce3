//! `POST /admin/invoices/{id}/pay`, `void`, `uncollectible` and `credit`: what an operator does with an invoice. Each answers with the
//! invoice as it stands then.

use std::future::Future;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::call::Call;
use super::error::Problem;
use super::idempotency::{Outcome, write};
use super::invoice_views::{InvoiceView, invoice_view};
use super::invoices::find;
use super::views::{ProblemView, json_of};
use crate::model::invoice::Payment;
use crate::model::{Invoice, Money, Tenant};
use crate::tenancy::{
    Change, Credit, Metered, Versioned, collect_invoice, credit_invoice, give_up_invoice, pay_from_credit, pay_invoice, void_invoice,
};

/// How an invoice was paid; the whole body may be absent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pay {
    /// Where the payment is found again, such as a bank's reference.
    #[schema(example = "transfer 4711")]
    reference: Option<String>,
    /// With the tenant's credit, as far as it goes.
    from_credit: Option<bool>,
}

/// Why; the whole body may be absent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// Kept with the invoice.
    reason: Option<String>,
}

/// What shall be credited; the whole body may be absent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreditBody {
    /// In minor units, tax included; all that is left where none is said.
    #[schema(example = 1000)]
    amount_minor: Option<i64>,
    /// Why.
    reason: Option<String>,
    /// Of a paid invoice: given back, instead of taken off the next invoices.
    refund: Option<bool>,
}

/// Record that an invoice was paid; the tenant is served again, if it was not. Where the provider has a payment method of the tenant
/// and no `reference` is given, it is asked for the money instead.
#[utoipa::path(post, path = "/admin/invoices/{id}/pay", tag = "invoices", request_body = Option<Pay>, params(("id" = String, Path)),
    responses((status = 200, body = InvoiceView), (status = 402, body = ProblemView), (status = 404, body = ProblemView), (status = 409, body = ProblemView)))]
pub async fn pay(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let body: Pay = call.json_or_empty()?;
    check("/reference", body.reference.as_deref())?;
    if body.from_credit == Some(true) {
        if body.reference.is_some() {
            return Err(Problem::field("/reference", "invalid", "what credit pays has no reference; leave one of both out"));
        }
        return act(&app, &id, &call, |both, metered, _| Ok(pay_from_credit(both, app.biller.desk(), metered, &call.cause)?)).await;
    }
    let (tenant, _) = find(&app, &id).await?;
    let has_method = tenant.value.subscription.payer.as_ref().is_some_and(|payer| payer.method.is_some());
    if body.reference.is_none() && has_method && app.biller.desk().collects {
        return collect(&app, &id, &call).await;
    }
    act(&app, &id, &call, |both, metered, _| {
        let payment = Payment { provider: "manual".to_owned(), reference: body.reference.clone() };
        Ok(pay_invoice(both, payment, app.biller.desk(), metered, &call.cause)?)
    })
    .await
}

/// Asks the provider now; a decline is told as one.
async fn collect(app: &App, id: &str, call: &Call) -> Result<Response, Problem> {
    let asked = act(app, id, call, |both, _, _| Ok(collect_invoice(both, app.biller.desk(), &call.cause)?)).await?;
    let (tenant, before) = find(app, id).await?;
    app.biller.catch_up(tenant.value.id, call.cause.now).await?;
    let (_, after) = find(app, id).await?;
    let news = after.value.standing.attempts.len() > before.value.standing.attempts.len();
    match after.value.standing.attempts.last().filter(|_| news).and_then(|attempt| attempt.message.clone()) {
        Some(why) => Err(Problem::new(StatusCode::PAYMENT_REQUIRED, "payment_failed", "Payment declined", why)),
        None => {
            let (parts, _) = asked.into_parts();
            Ok((parts.status, axum::Json(json_of(&invoice_view(&after.value)))).into_response())
        }
    }
}

/// Void an invoice that was issued by mistake. It keeps its number; credit that it has used is there again.
#[utoipa::path(post, path = "/admin/invoices/{id}/void", tag = "invoices", request_body = Option<Why>, params(("id" = String, Path)),
    responses((status = 200, body = InvoiceView), (status = 404, body = ProblemView), (status = 409, body = ProblemView)))]
pub async fn void(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let body: Why = call.json_or_empty()?;
    check("/reason", body.reason.as_deref())?;
    act(&app, &id, &call, |both, metered, later| {
        Ok(void_invoice(both, later, body.reason.clone(), app.biller.desk(), metered, &call.cause)?)
    })
    .await
}

/// Give an invoice up: nobody expects it to be paid any more. A tenant that is past due with it is suspended.
#[utoipa::path(post, path = "/admin/invoices/{id}/uncollectible", tag = "invoices", request_body = Option<Why>, params(("id" = String, Path)),
    responses((status = 200, body = InvoiceView), (status = 404, body = ProblemView), (status = 409, body = ProblemView)))]
pub async fn give_up(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let body: Why = call.json_or_empty()?;
    check("/reason", body.reason.as_deref())?;
    act(&app, &id, &call, |both, _, later| Ok(give_up_invoice(both, later, body.reason.clone(), app.biller.desk(), &call.cause)?)).await
}

/// Issue a credit note on an invoice: of an open one less is to be paid, of a paid one the amount is due to the tenant.
#[utoipa::path(post, path = "/admin/invoices/{id}/credit", tag = "invoices", request_body = Option<CreditBody>, params(("id" = String, Path)),
    responses((status = 200, body = InvoiceView), (status = 404, body = ProblemView), (status = 409, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn credit(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let body: CreditBody = call.json_or_empty()?;
    check("/reason", body.reason.as_deref())?;
    let credit = Credit { amount: body.amount_minor.map(Money), reason: body.reason.clone(), refund: body.refund.unwrap_or(false) };
    act(&app, &id, &call, |both, metered, later| Ok(credit_invoice(both, later, &credit, app.biller.desk(), metered, &call.cause)?)).await
}

type Both<'a> = (&'a Versioned<Tenant>, &'a Versioned<Invoice>);

/// Does it once, and answers with the invoice as it is then.
async fn act(
    app: &App,
    id: &str,
    call: &Call,
    compute: impl Fn(Both<'_>, &Metered, &[Invoice]) -> Result<Change, Problem> + Send + Sync,
) -> Result<Response, Problem> {
    let compute = &compute;
    let outcome = || -> std::pin::Pin<Box<dyn Future<Output = Result<Outcome, Problem>> + Send + '_>> {
        Box::pin(async move {
            let (tenant, invoice) = find(app, id).await?;
            let metered = app.biller.metered(&tenant.value, call.cause.now).await?;
            let later = app.biller.bills().after(&invoice.value).await?;
            let change = compute((&tenant, &invoice), &metered, &later)?;
            // The answer that is kept for a repeated request names the invoice; it is read anew each time.
            Ok(Outcome::ok(change, serde_json::json!({"id": invoice.value.id})))
        })
    };
    let done = write(app, call, outcome).await?;
    let (parts, _) = done.into_parts();
    let (_, invoice) = find(app, id).await?;
    let mut response = axum::Json(json_of(&invoice_view(&invoice.value))).into_response();
    if let Some(replayed) = parts.headers.get("idempotency-replayed") {
        response.headers_mut().insert("idempotency-replayed", replayed.clone());
    }
    Ok(response)
}

fn check(pointer: &'static str, text: Option<&str>) -> Result<(), Problem> {
    match text {
        Some(text) if text.chars().count() > 500 => Err(Problem::field(pointer, "too_long", "at most 500 characters")),
        _ => Ok(()),
    }
}
