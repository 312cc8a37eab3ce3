//! Invoices for tests.

use crate::model::invoice::*;
use crate::model::*;

const DAY: i64 = 86_400_000;
/// 2026-11-25.
pub const ISSUED: Millis = Millis(1_795_564_800_000);

pub fn line_of(kind: LineKind, description: &str, quantity: u64, amount: i64, inputs: Inputs) -> Line {
    let period = Some(Span { start: ISSUED, end: Millis(ISSUED.0 + 30 * DAY) });
    Line { kind, description: description.to_owned(), quantity, unit_price: Money(amount), amount: Money(amount), period, inputs }
}

pub fn priced(description: &str, quantity: u64, price: i64) -> Line {
    let inputs = Inputs::Price { price: Money(price), quantity, of: "pro v1".to_owned() };
    let line = line_of(LineKind::Subscription, description, quantity, price, inputs);
    Line { amount: Money(price).times(quantity), ..line }
}

pub fn tax_line(treatment: TaxTreatment, amount: i64, tax: i64, vat_id: Option<&str>) -> Line {
    let inputs = Inputs::Tax {
        base: Money(9900),
        parts_per_million: 190_000,
        country: "DE".to_owned(),
        treatment,
        vat_id: vat_id.map(ToOwned::to_owned),
        tax: Money(tax),
    };
    Line { period: None, ..line_of(LineKind::Tax, "VAT", 1, amount, inputs) }
}

pub fn balance_line(before: i64, after: i64, amount: i64) -> Line {
    let inputs = Inputs::Balance { before: Money(before), after: Money(after) };
    Line { period: None, ..line_of(LineKind::Credit, "Credit applied", 1, amount, inputs) }
}

pub fn note_of(number: &str, amount: i64, outcome: CreditOutcome) -> CreditNote {
    CreditNote {
        id: CreditNoteId::from_bytes([9; 16]),
        number: number.to_owned(),
        amount: Money(amount),
        tax: Money(amount * 19 / 119),
        reason: Some("An outage of <3 h>".to_owned()),
        time: Millis(ISSUED.0 + 3 * DAY),
        outcome,
        refund: (outcome == CreditOutcome::Refunded).then(|| "re_123".to_owned()),
    }
}

/// An open invoice of these lines.
pub fn invoice_of(currency: &str, lines: Vec<Line>) -> Invoice {
    let total: Money = lines.iter().map(|line| line.amount).sum();
    let seller = Party {
        name: Some("Gatehouse Straßenbau GmbH".to_owned()),
        address: vec!["Große Straße 1".to_owned(), "10115 Berlin".to_owned()],
        country: Some("DE".to_owned()),
        vat_id: Some("DE123456789".to_owned()),
        email: Some("billing@example.com".to_owned()),
        tax_exempt: false,
    };
    let customer = Party {
        name: Some("Ελληνικά Γράμματα & Пётр <Łódź>".to_owned()),
        address: vec!["Ул. Ленина 5".to_owned()],
        country: Some("GR".to_owned()),
        ..Party::default()
    };
    Invoice {
        id: InvoiceId::from_bytes([7; 16]),
        issued: Issued {
            number: "INV-000042".to_owned(),
            tenant_id: TenantId::from_bytes([5; 16]),
            currency: currency.to_owned(),
            reason: InvoiceReason::Period,
            seller,
            customer,
            period: Some(Span { start: ISSUED, end: Millis(ISSUED.0 + 30 * DAY) }),
            lines,
            total,
            issued_at: ISSUED,
            due_at: Millis(ISSUED.0 + 14 * DAY),
            note: None,
        },
        standing: Standing {
            status: InvoiceStatus::Open,
            since: ISSUED,
            due: total,
            paid: Money(0),
            from_credit: Money(0),
            paid_at: None,
            payment: None,
            attempts: Vec::new(),
            credit_notes: Vec::new(),
            remark: None,
        },
    }
}

/// The same, standing otherwise.
pub fn standing(mut invoice: Invoice, status: InvoiceStatus) -> Invoice {
    let standing = &mut invoice.standing;
    standing.status = status;
    standing.since = Millis(ISSUED.0 + 5 * DAY);
    if status == InvoiceStatus::Paid {
        standing.paid = standing.due;
        standing.paid_at = Some(standing.since);
    }
    if matches!(status, InvoiceStatus::Paid | InvoiceStatus::Void) {
        standing.due = Money(0);
    }
    invoice
}
