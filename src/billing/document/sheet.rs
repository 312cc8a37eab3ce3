//! What both documents show, made once of an invoice or a credit note: texts in their order, and nothing of how they look.

use crate::model::invoice::Payment;
use crate::model::{Invoice, InvoiceStatus, Millis, Party, Standing};

use super::texts::{date, given, line, lines};

/// A document to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// `Invoice`.
    pub heading: &'static str,
    /// Its number; empty where it has none yet.
    pub number: String,
    /// Whether there is still something to do about it.
    pub mark: Option<Mark>,
    /// Dates and the like, each with its name.
    pub facts: Vec<(&'static str, String)>,
    /// Who sells and who buys.
    pub parties: [Block; 2],
    /// What matters most, in one line.
    pub headline: String,
    /// What it is made of.
    pub table: Table,
    /// How the table adds up.
    pub sums: Vec<Sum>,
    /// Credit notes on it.
    pub credit_notes: Option<Table>,
    /// What the law wants to be said.
    pub notes: Vec<String>,
    /// When it was issued.
    pub issued_at: Millis,
    /// 16 octets that are its own for ever.
    pub id: [u8; 16],
    /// The paper that its readers have.
    pub paper: Paper,
}

/// A stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// `Paid`.
    pub word: &'static str,
    /// When it got there.
    pub since: Option<String>,
    /// Which.
    pub status: InvoiceStatus,
}

/// A party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Which.
    pub heading: &'static str,
    /// Its name first.
    pub lines: Vec<String>,
}

/// A table with as many cells in each row as it has columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What it is, for those who do not see it.
    pub caption: &'static str,
    /// From left to right; the first takes the room that is left.
    pub columns: Vec<Column>,
    /// From top to bottom.
    pub rows: Vec<Row>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// What is in it.
    pub head: String,
    /// It has numbers, which end at the same place.
    pub is_number: bool,
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// One for each column.
    pub cells: Vec<String>,
    /// How it came about, below the first cell.
    pub detail: Option<String>,
}

/// An amount below the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// What.
    pub label: String,
    /// How it came about.
    pub detail: Option<String>,
    /// How much.
    pub amount: String,
    /// It is what the rows above add up to.
    pub is_total: bool,
}

/// Kinds of paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paper {
    /// 210 mm × 297 mm.
    A4,
    /// 8.5 in × 11 in.
    Letter,
}

impl Sheet {
    /// Heading and number.
    pub fn title(&self) -> String {
        format!("{} {}", self.heading, self.number).trim_end().to_owned()
    }
}

impl Sum {
    /// One of the rows that are added up.
    pub fn part(label: impl Into<String>, amount: String) -> Self {
        Self { label: label.into(), detail: None, amount, is_total: false }
    }

    /// What they add up to.
    pub fn total(label: impl Into<String>, amount: String) -> Self {
        Self { label: label.into(), detail: None, amount, is_total: true }
    }

    /// With how it came about.
    pub fn because(self, detail: Option<String>) -> Self {
        Self { detail, ..self }
    }
}

/// Columns of a table, each with whether it has numbers.
pub fn columns<const N: usize>(heads: [(String, bool); N]) -> Vec<Column> {
    heads.into_iter().map(|(head, is_number)| Column { head, is_number }).collect()
}

/// Both parties of an invoice.
pub fn parties(invoice: &Invoice) -> [Block; 2] {
    let issued = &invoice.issued;
    let mut customer = block("Bill to", &issued.customer);
    if customer.lines.is_empty() {
        customer.lines.push(issued.tenant_id.to_string());
    }
    [block("From", &issued.seller), customer]
}

/// The number of an invoice, for sentences.
pub fn number_of(invoice: &Invoice) -> String {
    line(&invoice.issued.number)
}

/// What the law wants to be said, paragraph by paragraph.
pub fn notes(invoice: &Invoice) -> Vec<String> {
    invoice.issued.note.as_deref().map(lines).unwrap_or_default()
}

/// Where the customer is, or else the seller.
pub fn paper(invoice: &Invoice) -> Paper {
    let issued = &invoice.issued;
    match issued.customer.country.as_deref().or(issued.seller.country.as_deref()) {
        Some("US" | "CA" | "MX" | "PH") => Paper::Letter,
        _ => Paper::A4,
    }
}

/// A stamp for every status but open, which is what an invoice is for.
pub fn mark(invoice: &Invoice) -> Option<Mark> {
    let standing = &invoice.standing;
    let (word, since) = match standing.status {
        InvoiceStatus::Open => return None,
        InvoiceStatus::Draft => ("Draft", None),
        InvoiceStatus::Paid if is_paid_by(standing, Payment::CREDIT_NOTE) => ("Credited", Some(standing.since)),
        InvoiceStatus::Paid if is_paid_by(standing, Payment::NEXT_INVOICE) => ("Settled", Some(standing.since)),
        InvoiceStatus::Paid => ("Paid", Some(standing.paid_at.unwrap_or(standing.since))),
        InvoiceStatus::Void => ("Void", Some(standing.since)),
        InvoiceStatus::Uncollectible => ("Uncollectible", Some(standing.since)),
    };
    Some(Mark { word, since: since.map(date), status: standing.status })
}

/// Whether that has paid it.
pub fn is_paid_by(standing: &Standing, provider: &str) -> bool {
    standing.payment.as_ref().is_some_and(|payment| payment.provider == provider)
}

fn block(heading: &'static str, party: &Party) -> Block {
    let mut found: Vec<String> = given(party.name.as_deref()).into_iter().collect();
    found.extend(party.address.iter().flat_map(|line| lines(line)));
    found.extend(given(party.country.as_deref()));
    found.extend(given(party.vat_id.as_deref()).map(|id| format!("VAT id {id}")));
    found.extend(given(party.email.as_deref()));
    Block { heading, lines: found }
}
