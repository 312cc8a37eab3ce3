//! `/admin/invoices` and `/admin/tenants/{id}/invoices`: invoices read, the next one previewed, each explained.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use super::App;
use super::call::Call;
use super::error::Problem;
use super::invoice_views::{InvoiceView, explanation, invoice_view};
use super::views::{ProblemView, json_of, page_json};
use crate::model::{Invoice, InvoiceId, InvoiceStatus, Tenant};
use crate::tenancy::{Page, Versioned, did_you_mean, upcoming_invoice};

/// A tenant's invoices, newest first; the next page is in the field `Link`.
#[utoipa::path(get, path = "/admin/tenants/{id}/invoices", tag = "invoices",
    params(("id" = String, Path), ("limit" = Option<u16>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Vec<InvoiceView>), (status = 404, body = ProblemView)))]
pub async fn of_tenant(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let query = call.query(&["limit", "cursor"])?;
    let (cursor, limit) = (query.parse::<InvoiceId>("cursor", "the id of an invoice")?, query.limit()?);
    let tenant = app.find(&id).await?.value.id;
    let Page { items, next } = app.biller.bills().of(tenant, cursor, limit).await?;
    let views: Vec<InvoiceView> = items.iter().map(invoice_view).collect();
    let mut response = axum::Json(views).into_response();
    if let Some(next) = next {
        let link = format!("</admin/tenants/{tenant}/invoices?limit={limit}&cursor={next}>; rel=\"next\"");
        if let Ok(value) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(header::LINK, value);
        }
    }
    Ok(response)
}

/// What the next invoice would be if the period ended with what was used so far: a draft, `null` where there will be none.
#[utoipa::path(get, path = "/admin/tenants/{id}/invoices/upcoming", tag = "invoices", params(("id" = String, Path)),
    responses((status = 200, body = Option<InvoiceView>), (status = 404, body = ProblemView)))]
pub async fn upcoming(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let current = app.find(&id).await?;
    let metered = app.biller.metered(&current.value, call.cause.now).await?;
    let draft = upcoming_invoice(&current, app.biller.desk(), &metered, &call.cause)?;
    Ok(axum::Json(draft.as_ref().map(invoice_view)).into_response())
}

/// All invoices, newest first.
#[utoipa::path(get, path = "/admin/invoices", tag = "invoices",
    params(("status" = Option<String>, Query), ("number" = Option<String>, Query, description = "Looked for in all of them."), ("tenant" = Option<String>, Query, description = "Id or slug."),
        ("limit" = Option<u16>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "`{\"data\": [Invoice], \"nextCursor\": …}`"), (status = 422, body = ProblemView)))]
pub async fn list(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let query = call.query(&["status", "number", "tenant", "limit", "cursor"])?;
    let number = query.get("number");
    let (mut cursor, limit) = (query.parse::<InvoiceId>("cursor", "what `nextCursor` said")?, query.limit()?);
    let status = query.get("status").map(status_of).transpose()?;
    let tenant = match query.get("tenant") {
        Some(name) => Some(app.find(name).await?.value.id),
        None => None,
    };
    let mut found: Vec<Invoice> = Vec::new();
    loop {
        let Page { items, next } = match tenant {
            Some(tenant) => app.biller.bills().of(tenant, cursor, 500).await?,
            None => app.biller.bills().all(cursor, 500).await?,
        };
        let is_wanted = |invoice: &Invoice| {
            status.is_none_or(|status| status == invoice.standing.status) && number.is_none_or(|number| number == invoice.issued.number)
        };
        for invoice in items.into_iter().filter(is_wanted) {
            // There is one of a number.
            if number.is_some() {
                return Ok(page(&[invoice], None));
            }
            if found.len() == limit {
                let next = found.last().map(|last| last.id.to_string());
                return Ok(page(&found, next));
            }
            found.push(invoice);
        }
        match next.and_then(|next| next.parse().ok()) {
            Some(next) => cursor = Some(next),
            None => return Ok(page(&found, None)),
        }
    }
}

/// Read an invoice.
#[utoipa::path(get, path = "/admin/invoices/{id}", tag = "invoices", params(("id" = String, Path)),
    responses((status = 200, body = InvoiceView), (status = 404, body = ProblemView)))]
pub async fn read(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    let (_, invoice) = find(&app, &id).await?;
    Ok(axum::Json(invoice_view(&invoice.value)).into_response())
}

/// How each line of an invoice comes about, computed again from the inputs that it was made of.
#[utoipa::path(get, path = "/admin/invoices/{id}/explain", tag = "invoices", params(("id" = String, Path)),
    responses((status = 200, description = "`{number, amount, agrees, lines: [{description, amount, recomputedMinor, agrees, because}]}`"),
        (status = 404, body = ProblemView)))]
pub async fn explain(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    let (_, invoice) = find(&app, &id).await?;
    Ok(axum::Json(explanation(&invoice.value)).into_response())
}

/// An invoice with its tenant, or 404.
pub async fn find(app: &App, id: &str) -> Result<(Versioned<Tenant>, Versioned<Invoice>), Problem> {
    let missing = || {
        let shown: String = id.chars().take(80).collect();
        let hint = "by its number it is found with `GET /admin/invoices?number=…`";
        Problem::not_found("Invoice not found", format!("There is no invoice with the id `{shown}`; {hint}."))
    };
    let id = id.parse::<InvoiceId>().map_err(|_| missing())?;
    app.biller.invoice(id).await?.ok_or_else(missing)
}

fn page(found: &[Invoice], next: Option<String>) -> Response {
    let data = found.iter().map(|invoice| json_of(&invoice_view(invoice))).collect();
    axum::Json(page_json(data, next)).into_response()
}

fn status_of(text: &str) -> Result<InvoiceStatus, Problem> {
    InvoiceStatus::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
        let all = InvoiceStatus::ALL.map(InvoiceStatus::as_str);
        let hint = did_you_mean(text, all.iter().copied());
        Problem::field("/query/status", "invalid", format!("expected one of {}{hint}", all.join(", ")))
    })
}
