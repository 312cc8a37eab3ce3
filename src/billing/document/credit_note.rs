//! The sheet of a credit note on an invoice.

use std::collections::BTreeSet;

use crate::model::invoice::{CreditNote, CreditOutcome, Inputs, Invoice, TaxTreatment};

use super::sheet::{self, Row, Sheet, Sum, Table, columns};
use super::texts::{amount, amount_of, date, given, in_currency, line, percent};

/// Everything that a credit note shows. Amounts are what is given back, so they are positive.
pub fn sheet(invoice: &Invoice, note: &CreditNote) -> Sheet {
    let currency = &invoice.issued.currency;
    let reason = given(note.reason.as_deref());
    let reduced = Row {
        cells: vec![format!("Credit on invoice {}", sheet::number_of(invoice)), amount(note.amount - note.tax, currency)],
        detail: reason,
    };
    let columns = columns([("Description".to_owned(), false), ("Amount".to_owned(), true)]);
    Sheet {
        heading: "Credit note",
        number: line(&note.number),
        mark: None,
        facts: facts(invoice, note),
        parties: sheet::parties(invoice),
        headline: format!("{} credited on {}", amount_of(note.amount, currency), date(note.time)),
        table: Table { caption: "What is credited", columns, rows: vec![reduced] },
        sums: vec![
            Sum::part("Subtotal", amount(note.amount - note.tax, currency)),
            Sum::part("Tax", amount(note.tax, currency)).because(rates(invoice)),
            Sum::total(in_currency("Total credited", currency), amount(note.amount, currency)),
        ],
        credit_notes: None,
        notes: sheet::notes(invoice),
        issued_at: note.time,
        id: note.id.to_bytes(),
        paper: sheet::paper(invoice),
    }
}

fn facts(invoice: &Invoice, note: &CreditNote) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Credit note number", line(&note.number)),
        ("Issue date", date(note.time)),
        ("On invoice", format!("{} of {}", sheet::number_of(invoice), date(invoice.issued.issued_at))),
        ("Currency", line(&invoice.issued.currency)),
        ("Settlement", settlement(note.outcome).to_owned()),
    ];
    facts.extend(given(note.refund.as_deref()).map(|refund| ("Refund", refund)));
    facts
}

/// What became of the amount.
pub const fn settlement(outcome: CreditOutcome) -> &'static str {
    match outcome {
        CreditOutcome::Reduced => "The amount due of the invoice is reduced",
        CreditOutcome::Balance => "Taken off the next invoices",
        CreditOutcome::Refunding => "Being refunded",
        CreditOutcome::Refunded => "Refunded",
    }
}

/// The rates that the invoice charged.
fn rates(invoice: &Invoice) -> Option<String> {
    let charged = invoice.issued.lines.iter().filter_map(|line| match &line.inputs {
        Inputs::Tax { parts_per_million, treatment: TaxTreatment::Exclusive | TaxTreatment::Inclusive, .. } => Some(*parts_per_million),
        _ => None,
    });
    let charged: Vec<String> = charged.collect::<BTreeSet<_>>().into_iter().map(percent).collect();
    (!charged.is_empty()).then(|| format!("At {}", charged.join(", ")))
}
