//! The sheet of an invoice.

use crate::model::Money;
use crate::model::invoice::{CreditNote, CreditOutcome, Invoice, InvoiceStatus, Issued, Line, LineKind, Payment, Standing};

use crate::billing::words::count;

use super::credit_note::settlement;
use super::explain;
use super::sheet::{self, Row, Sheet, Sum, Table, columns};
use super::texts::{amount, amount_of, date, dates, given, in_currency, line};

/// Everything that an invoice shows.
pub fn sheet(invoice: &Invoice) -> Sheet {
    let (issued, standing) = (&invoice.issued, &invoice.standing);
    Sheet {
        heading: if standing.status == InvoiceStatus::Draft { "Draft invoice" } else { "Invoice" },
        number: sheet::number_of(invoice),
        mark: sheet::mark(invoice),
        facts: facts(invoice),
        parties: sheet::parties(invoice),
        headline: headline(issued, standing),
        table: table(issued),
        sums: sums(issued, standing),
        credit_notes: (!standing.credit_notes.is_empty()).then(|| credit_notes(&standing.credit_notes, &issued.currency)),
        notes: sheet::notes(invoice),
        issued_at: issued.issued_at,
        id: invoice.id.to_bytes(),
        paper: sheet::paper(invoice),
    }
}

fn facts(invoice: &Invoice) -> Vec<(&'static str, String)> {
    let issued = &invoice.issued;
    let mut facts = Vec::new();
    let number = sheet::number_of(invoice);
    if !number.is_empty() {
        facts.push(("Invoice number", number));
    }
    facts.push(("Issue date", date(issued.issued_at)));
    facts.push(("Due date", date(issued.due_at)));
    facts.extend(issued.period.as_ref().map(|period| ("Period", dates(period))));
    facts.push(("Currency", line(&issued.currency)));
    facts.extend(invoice.standing.payment.as_ref().map(|payment| ("Payment", told(payment))));
    facts
}

/// `stripe: pi_123`; what an operator noted stands alone.
fn told(payment: &Payment) -> String {
    match (line(&payment.provider).as_str(), given(payment.reference.as_deref())) {
        (Payment::CREDIT, None) => "Covered by credit".to_owned(),
        (Payment::CREDIT_NOTE, None) => "Taken back by credit note".to_owned(),
        (Payment::NEXT_INVOICE, None) => "Left for the next invoice".to_owned(),
        ("manual", None) => "Received".to_owned(),
        ("manual" | "", Some(reference)) => reference,
        (provider, Some(reference)) => format!("{provider}: {reference}"),
        (provider, None) => provider.to_owned(),
    }
}

fn headline(issued: &Issued, standing: &Standing) -> String {
    let of = |money| amount_of(money, &issued.currency);
    let since = date(standing.since);
    match standing.status {
        InvoiceStatus::Draft => format!("{}, not issued yet", of(issued.total)),
        InvoiceStatus::Open => format!("{} due on {}", of(standing.due), date(issued.due_at)),
        InvoiceStatus::Paid if issued.total.is_zero() => "Nothing to pay".to_owned(),
        InvoiceStatus::Paid if standing.paid.is_zero() => format!("{} settled on {since}", of(issued.total)),
        InvoiceStatus::Paid => format!("{} paid on {}", of(standing.paid), date(standing.paid_at.unwrap_or(standing.since))),
        InvoiceStatus::Void => format!("Void since {since}, nothing to pay"),
        InvoiceStatus::Uncollectible => format!("{} uncollectible since {since}", of(standing.due)),
    }
}

fn is_below(line: &Line) -> bool {
    matches!(line.kind, LineKind::Credit | LineKind::Tax)
}

fn table(issued: &Issued) -> Table {
    let currency = &issued.currency;
    let rows = issued.lines.iter().filter(|line| !is_below(line)).map(|row| Row {
        cells: vec![
            line(&row.description),
            row.period.as_ref().map(dates).unwrap_or_default(),
            count(row.quantity),
            amount(row.unit_price, currency),
            amount(row.amount, currency),
        ],
        detail: explain::row(row, currency),
    });
    let columns = columns([
        ("Description".to_owned(), false),
        ("Service period".to_owned(), false),
        ("Quantity".to_owned(), true),
        ("Unit price".to_owned(), true),
        ("Amount".to_owned(), true),
    ]);
    Table { caption: "What is charged", columns, rows: rows.collect() }
}

fn sums(issued: &Issued, standing: &Standing) -> Vec<Sum> {
    let currency = &issued.currency;
    let shown = |money| amount(money, currency);
    let mut sums = vec![Sum::part("Subtotal", shown(issued.subtotal()))];
    sums.extend(issued.lines.iter().filter(|line| is_below(line)).map(|below| {
        let label = given(Some(&below.description)).unwrap_or_else(|| usual_name(below.kind).to_owned());
        Sum::part(label, shown(below.amount)).because(explain::sum(below, currency))
    }));
    sums.push(Sum::total(in_currency("Total", currency), shown(issued.total)));
    if standing.status == InvoiceStatus::Draft {
        return sums;
    }
    let on = standing.paid_at.map(|time| format!("On {}", date(time)));
    sums.push(Sum::part("Paid", shown(-standing.paid)).because(on.filter(|_| !standing.paid.is_zero())));
    if !standing.from_credit.is_zero() {
        sums.push(Sum::part("Paid with credit", shown(-standing.from_credit)));
    }
    let reducing = standing.credit_notes.iter().filter(|note| note.outcome == CreditOutcome::Reduced);
    sums.extend(reducing.map(|note| Sum::part(format!("Credit note {}", line(&note.number)), shown(-note.amount))));
    sums.extend(otherwise(issued, standing).map(|(label, rest)| Sum::part(label, shown(-rest))));
    sums.push(Sum::total(in_currency("Amount due", currency), shown(standing.due)));
    sums
}

/// What is neither paid nor credited nor due, so that the rows always add up.
fn otherwise(issued: &Issued, standing: &Standing) -> Option<(&'static str, Money)> {
    let reduced = standing.credit_notes.iter().filter(|note| note.outcome == CreditOutcome::Reduced).map(|note| note.amount).sum();
    let rest = issued.total - standing.paid - standing.from_credit - reduced - standing.due;
    let label = match standing.status {
        InvoiceStatus::Paid if sheet::is_paid_by(standing, Payment::NEXT_INVOICE) => "Left for the next invoice",
        InvoiceStatus::Void => "Void",
        InvoiceStatus::Uncollectible => "Written off",
        InvoiceStatus::Draft | InvoiceStatus::Open | InvoiceStatus::Paid => "Settled otherwise",
    };
    (!rest.is_zero()).then_some((label, rest))
}

const fn usual_name(kind: LineKind) -> &'static str {
    match kind {
        LineKind::Tax => "Tax",
        LineKind::Credit => "Credit applied",
        LineKind::Subscription | LineKind::Proration | LineKind::Addon | LineKind::Overage => "",
    }
}

fn credit_notes(notes: &[CreditNote], currency: &str) -> Table {
    let rows = notes.iter().map(|note| Row {
        cells: vec![line(&note.number), date(note.time), amount(note.tax, currency), amount(note.amount, currency)],
        detail: Some(became(note)),
    });
    let columns = columns([
        ("Credit note".to_owned(), false),
        ("Date".to_owned(), false),
        ("Tax in it".to_owned(), true),
        ("Credited".to_owned(), true),
    ]);
    Table { caption: "Credit notes on this invoice", columns, rows: rows.collect() }
}

/// What became of a credited amount, and why it was.
fn became(note: &CreditNote) -> String {
    let mut text = settlement(note.outcome).to_owned();
    if let Some(refund) = given(note.refund.as_deref()) {
        text.push_str(&format!(" ({refund})"));
    }
    if let Some(reason) = given(note.reason.as_deref()) {
        text.push_str(&format!(": {reason}"));
    }
    text
}
