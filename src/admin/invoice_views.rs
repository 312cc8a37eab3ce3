//! How invoices look in JSON: the members that seed clients read, the same amounts in minor units, and how each came about.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::billing::explain;
use crate::model::{Invoice, InvoiceStatus, Line, Money};

/// An invoice. Amounts are decimal numbers, and `…Minor` in minor units; times are epoch milliseconds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Invoice)]
pub struct InvoiceView {
    /// For ever.
    pub id: String,
    /// A prefix and a sequence over all tenants, without gaps; `null` for a draft.
    pub number: Option<String>,
    /// Whose it is.
    pub tenant_id: String,
    /// `draft`, `open`, `paid`, `void` or `uncollectible`.
    pub status: &'static str,
    /// Why it was made: `period`, `change` or `end`.
    #[schema(value_type = String)]
    pub reason: Value,
    /// What was to be paid.
    pub amount: f64,
    /// The same in minor units.
    pub amount_minor: i64,
    /// What is left to pay.
    pub amount_due: f64,
    /// The same in minor units.
    pub amount_due_minor: i64,
    /// What was paid with the tenant's credit after it was issued.
    pub from_credit: f64,
    /// The same in minor units.
    pub from_credit_minor: i64,
    /// Before tax and credit; tax that the prices contain is in it, also where the customer owes none: a line takes it off.
    pub subtotal: f64,
    /// The same in minor units.
    pub subtotal_minor: i64,
    /// The tax of it, added or included; 0 where the customer owes none.
    pub tax: f64,
    /// The same in minor units.
    pub tax_minor: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// When it was issued.
    pub created_at: i64,
    /// Until when it is to be paid.
    pub due_date: i64,
    /// When it was paid.
    pub paid_at: Option<i64>,
    /// The period that it begins, or in which the subscription changed: `{start, end}`.
    #[schema(value_type = Option<Object>)]
    pub period: Value,
    /// `{kind, description, quantity, unitPrice, unitPriceMinor, amount, amountMinor, period, inputs}`; they add up to `amount`.
    #[schema(value_type = Vec<Object>)]
    pub items: Vec<Value>,
    /// Who issued it.
    #[schema(value_type = Object)]
    pub seller: Value,
    /// Whom it was issued to.
    #[schema(value_type = Object)]
    pub customer: Value,
    /// How it was paid: `{provider, reference}`.
    #[schema(value_type = Option<Object>)]
    pub payment: Value,
    /// Attempts to collect it.
    #[schema(value_type = Vec<Object>)]
    pub attempts: Value,
    /// Credit notes on it.
    #[schema(value_type = Vec<Object>)]
    pub credit_notes: Vec<Value>,
    /// What the law wants to be said.
    pub note: Option<String>,
    /// Why it is void or uncollectible.
    pub remark: Option<String>,
}

/// An invoice as JSON writes it.
pub fn invoice_view(invoice: &Invoice) -> InvoiceView {
    let (issued, standing) = (&invoice.issued, &invoice.standing);
    let currency = issued.currency.as_str();
    let credit_notes = standing.credit_notes.iter().map(|note| {
        let mut view = json!(note);
        view["amount"] = json!(note.amount.major(currency));
        view["amountMinor"] = json!(note.amount);
        view["tax"] = json!(note.tax.major(currency));
        view["taxMinor"] = json!(note.tax);
        view
    });
    let is_draft = standing.status == InvoiceStatus::Draft;
    let (subtotal, tax) = (issued.subtotal(), issued.tax());
    InvoiceView {
        id: invoice.id.to_string(),
        number: (!is_draft).then(|| issued.number.clone()),
        tenant_id: issued.tenant_id.to_string(),
        status: standing.status.as_str(),
        reason: json!(issued.reason),
        amount: issued.total.major(currency),
        amount_minor: issued.total.0,
        amount_due: due(invoice).major(currency),
        amount_due_minor: due(invoice).0,
        from_credit: standing.from_credit.major(currency),
        from_credit_minor: standing.from_credit.0,
        subtotal: subtotal.major(currency),
        subtotal_minor: subtotal.0,
        tax: tax.major(currency),
        tax_minor: tax.0,
        currency: currency.to_owned(),
        created_at: issued.issued_at.0,
        due_date: issued.due_at.0,
        paid_at: standing.paid_at.map(|at| at.0),
        period: json!(issued.period),
        items: issued.lines.iter().map(|line| line_json(line, currency)).collect(),
        seller: json!(issued.seller),
        customer: json!(issued.customer),
        payment: json!(standing.payment),
        attempts: json!(standing.attempts),
        credit_notes: credit_notes.collect(),
        note: issued.note.clone(),
        remark: standing.remark.clone(),
    }
}

/// A line as JSON writes it.
pub fn line_json(line: &Line, currency: &str) -> Value {
    json!({
        "kind": line.kind,
        "description": line.description,
        "quantity": line.quantity,
        "unitPrice": line.unit_price.major(currency),
        "unitPriceMinor": line.unit_price,
        "amount": line.amount.major(currency),
        "amountMinor": line.amount,
        "period": line.period,
        "inputs": line.inputs,
    })
}

/// How each line of an invoice comes about, computed again.
pub fn explanation(invoice: &Invoice) -> Value {
    let currency = invoice.issued.currency.as_str();
    let mut sum = Money(0);
    let mut all_agree = true;
    let line = |line: &Line| {
        let again = explain::recompute(line);
        sum = sum + again;
        all_agree &= again == line.amount;
        json!({
            "description": line.description,
            "amount": line.amount.major(currency),
            "amountMinor": line.amount,
            "recomputedMinor": again,
            "agrees": again == line.amount,
            "because": explain::sentence(line, currency),
        })
    };
    let lines: Vec<Value> = invoice.issued.lines.iter().map(line).collect();
    json!({
        "id": invoice.id, "number": invoice.issued.number, "currency": currency,
        "amount": invoice.issued.total.major(currency), "amountMinor": invoice.issued.total,
        "recomputedMinor": sum, "agrees": all_agree && sum == invoice.issued.total, "lines": lines,
    })
}

/// What is left to pay; of what is void, nothing.
fn due(invoice: &Invoice) -> Money {
    match invoice.standing.status {
        InvoiceStatus::Paid | InvoiceStatus::Void => Money(0),
        InvoiceStatus::Draft | InvoiceStatus::Open | InvoiceStatus::Uncollectible => invoice.standing.due,
    }
}
