//! `GET /admin/invoices/{id}/html` and `pdf`, and the same of its credit notes: for people and their files.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::App;
use super::error::Problem;
use super::invoices::find;
use super::views::ProblemView;
use crate::billing::document;
use crate::model::invoice::CreditNote;
use crate::model::{CreditNoteId, Invoice};

/// An invoice as a page that prints well.
#[utoipa::path(get, path = "/admin/invoices/{id}/html", tag = "invoices", params(("id" = String, Path)),
    responses((status = 200, description = "text/html"), (status = 404, body = ProblemView)))]
pub async fn html(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    let (_, invoice) = find(&app, &id).await?;
    Ok(page(document::html(&invoice.value)))
}

/// An invoice as PDF.
#[utoipa::path(get, path = "/admin/invoices/{id}/pdf", tag = "invoices", params(("id" = String, Path)),
    responses((status = 200, description = "application/pdf"), (status = 404, body = ProblemView)))]
pub async fn pdf(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    let (_, invoice) = find(&app, &id).await?;
    file(document::pdf(&invoice.value), &invoice.value.issued.number)
}

/// A credit note as a page that prints well.
#[utoipa::path(get, path = "/admin/invoices/{id}/credit-notes/{note}/html", tag = "invoices",
    params(("id" = String, Path), ("note" = String, Path)),
    responses((status = 200, description = "text/html"), (status = 404, body = ProblemView)))]
pub async fn credit_note_html(State(app): State<App>, Path((id, note)): Path<(String, String)>) -> Result<Response, Problem> {
    let (invoice, note) = find_note(&app, &id, &note).await?;
    Ok(page(document::html_credit_note(&invoice, &note)))
}

/// A credit note as PDF.
#[utoipa::path(get, path = "/admin/invoices/{id}/credit-notes/{note}/pdf", tag = "invoices",
    params(("id" = String, Path), ("note" = String, Path)),
    responses((status = 200, description = "application/pdf"), (status = 404, body = ProblemView)))]
pub async fn credit_note_pdf(State(app): State<App>, Path((id, note)): Path<(String, String)>) -> Result<Response, Problem> {
    let (invoice, note) = find_note(&app, &id, &note).await?;
    file(document::pdf_credit_note(&invoice, &note), &note.number)
}

async fn find_note(app: &App, id: &str, note: &str) -> Result<(Invoice, CreditNote), Problem> {
    let (_, invoice) = find(app, id).await?;
    let wanted = note.parse::<CreditNoteId>().ok();
    let found = invoice.value.standing.credit_notes.iter().find(|note| Some(note.id) == wanted).cloned();
    let missing = || Problem::not_found("Credit note not found", "The invoice has no credit note with this id.");
    Ok((invoice.value, found.ok_or_else(missing)?))
}

fn page(html: String) -> Response {
    // The page cannot say itself who may frame it.
    let policy = HeaderValue::from_str(&format!("{}; frame-ancestors 'none'", document::html_policy()));
    let fields = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy.unwrap_or(HeaderValue::from_static("default-src 'none'"))),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (fields, html).into_response()
}

/// Numbers are letters, digits and `- _ / .`; a name of a file has no slash.
fn file(pdf: Result<Vec<u8>, document::FontError>, number: &str) -> Result<Response, Problem> {
    let pdf = pdf.map_err(|error| {
        tracing::error!(%error, "an invoice cannot be made into a PDF");
        Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR)
    })?;
    let disposition = format!("inline; filename=\"{}.pdf\"", number.replace('/', "-"));
    let disposition = HeaderValue::from_str(&disposition).unwrap_or(HeaderValue::from_static("inline"));
    let fields = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/pdf")),
        (header::CONTENT_DISPOSITION, disposition),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((fields, pdf).into_response())
}
