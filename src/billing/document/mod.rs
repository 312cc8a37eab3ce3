//! The printable invoice and credit note, as HTML and as PDF. Pure: the same invoice gives the same octets, at any time and anywhere.

mod credit_note;
mod explain;
mod html;
mod invoice;
mod pdf;
#[cfg(test)]
mod samples;
mod sheet;
#[cfg(test)]
mod tests;
mod texts;

use crate::model::invoice::{CreditNote, Invoice};

pub use pdf::FontError;

/// The invoice as a page of HTML that loads nothing and runs nothing.
pub fn html(invoice: &Invoice) -> String {
    html::page(&invoice::sheet(invoice))
}

/// The `Content-Security-Policy` of these pages.
pub fn html_policy() -> &'static str {
    html::policy()
}

/// The invoice as PDF.
pub fn pdf(invoice: &Invoice) -> Result<Vec<u8>, FontError> {
    pdf::file(&invoice::sheet(invoice))
}

/// A credit note on the invoice as a page of HTML that loads nothing and runs nothing.
pub fn html_credit_note(invoice: &Invoice, note: &CreditNote) -> String {
    html::page(&credit_note::sheet(invoice, note))
}

/// A credit note on the invoice as PDF.
pub fn pdf_credit_note(invoice: &Invoice, note: &CreditNote) -> Result<Vec<u8>, FontError> {
    pdf::file(&credit_note::sheet(invoice, note))
}
