//! Invoices: what was charged, for what, and how each line came about. What is issued never changes; how it stands does.

use serde::{Deserialize, Serialize};

use super::{CreditNoteId, InvoiceId, Millis, Money, Party, Span, TenantId, Tier};

/// An invoice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invoice {
    /// For ever.
    pub id: InvoiceId,
    /// What was issued.
    pub issued: Issued,
    /// How it stands.
    pub standing: Standing,
}

/// What was issued, and never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issued {
    /// A prefix and a sequence over all tenants, without gaps.
    pub number: String,
    /// Who owes it.
    pub tenant_id: TenantId,
    /// ISO 4217 code.
    pub currency: String,
    /// Why it was made.
    pub reason: InvoiceReason,
    /// Who issued it.
    pub seller: Party,
    /// Whom it was issued to.
    pub customer: Party,
    /// The period that it begins, or in which the subscription changed; none where there is none any more.
    pub period: Option<Span>,
    /// What it is made of; their sum is `total`.
    pub lines: Vec<Line>,
    /// What is to be paid, 0 or more.
    pub total: Money,
    /// When it was issued.
    pub issued_at: Millis,
    /// Until when it is to be paid.
    pub due_at: Millis,
    /// What the law wants to be said, such as that the tax is the customer's to pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Why an invoice was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceReason {
    /// A period began.
    Period,
    /// The subscription changed in the middle of a period.
    Change,
    /// The subscription ended, and there was usage to bill.
    End,
}

/// How an invoice stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// In short.
    pub status: InvoiceStatus,
    /// When it got there.
    pub since: Millis,
    /// What is left to pay.
    pub due: Money,
    /// What was paid.
    #[serde(default)]
    pub paid: Money,
    /// What was paid with the tenant's credit after it was issued.
    #[serde(default, skip_serializing_if = "Money::is_zero")]
    pub from_credit: Money,
    /// When it was paid whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<Millis>,
    /// How it was paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<Payment>,
    /// Attempts to collect it, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Credit notes on it, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credit_notes: Vec<CreditNote>,
    /// Why it is void or uncollectible, as the operator said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// How an invoice stands, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceStatus {
    /// Not issued: what the next one would be.
    Draft,
    /// To be paid.
    Open,
    /// Paid, or with nothing to pay.
    Paid,
    /// Issued by mistake.
    Void,
    /// Nobody expects it to be paid any more.
    Uncollectible,
}

/// How an invoice was paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// `manual`, `stripe`, or one of the names that settle without money.
    pub provider: String,
    /// The provider's name of the payment, or what the operator noted.
    #[serde(default)]
    pub reference: Option<String>,
}

impl Payment {
    /// The balance covered all.
    pub const CREDIT: &str = "credit";
    /// A credit note left nothing to pay.
    pub const CREDIT_NOTE: &str = "credit_note";
    /// It was too little to be charged by itself.
    pub const NEXT_INVOICE: &str = "next_invoice";

    /// Settled by one of these, without money.
    pub fn without_money(by: &str) -> Self {
        Self { provider: by.to_owned(), reference: None }
    }
}

/// An attempt to collect an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// When its outcome was known.
    pub time: Millis,
    /// The provider's name of the payment.
    #[serde(default)]
    pub payment: Option<String>,
    /// Why it was declined, such as `insufficient_funds`; none where it succeeded.
    #[serde(default)]
    pub code: Option<String>,
    /// The same for people.
    #[serde(default)]
    pub message: Option<String>,
    /// No retry makes sense.
    #[serde(default)]
    pub is_hard: bool,
}

/// A part of an invoice that is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreditNote {
    /// For ever.
    pub id: CreditNoteId,
    /// A prefix and a sequence over all tenants, without gaps.
    pub number: String,
    /// What is taken back, tax included.
    pub amount: Money,
    /// Of it, tax.
    pub tax: Money,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub time: Millis,
    /// What became of the amount.
    pub outcome: CreditOutcome,
    /// The provider's name of the refund.
    #[serde(default)]
    pub refund: Option<String>,
}

/// What became of an amount that was credited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditOutcome {
    /// Less of the invoice is to be paid.
    Reduced,
    /// It is taken off the next invoices.
    Balance,
    /// It is being given back; the provider has not confirmed it yet.
    Refunding,
    /// It was given back.
    Refunded,
}

impl CreditOutcome {
    /// Money goes back, or has gone.
    pub const fn is_refund(self) -> bool {
        matches!(self, Self::Refunding | Self::Refunded)
    }
}

/// A line of an invoice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// What for.
    pub kind: LineKind,
    /// For people.
    pub description: String,
    /// How many of them.
    pub quantity: u64,
    /// Price of one.
    pub unit_price: Money,
    /// What the line adds up to; negative where it is taken off.
    pub amount: Money,
    /// When what is paid for was, or will be, used.
    pub period: Option<Span>,
    /// What `amount` was computed of.
    pub inputs: Inputs,
}

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// A period of a plan.
    Subscription,
    /// The rest of a period, after a change in the middle of it.
    Proration,
    /// A period of an add-on.
    Addon,
    /// Usage beyond a limit.
    Overage,
    /// What was due to the tenant.
    Credit,
    /// Tax.
    Tax,
}

/// What the amount of a line was computed of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Inputs {
    /// price × quantity.
    Price {
        /// Of one, for the period.
        #[serde(rename = "priceMinor")]
        price: Money,
        /// How many.
        quantity: u64,
        /// `pro v1`, `seats`.
        of: String,
    },
    /// ± price × quantity × left ÷ whole.
    Proration {
        /// Of one, for a whole period.
        #[serde(rename = "priceMinor")]
        price: Money,
        /// How many.
        quantity: u64,
        /// `pro v1`, `seats`.
        of: String,
        /// Units of time that are left of the period.
        left: i64,
        /// Units of time that the period has.
        whole: i64,
        /// In which time is counted.
        unit: TimeUnit,
        /// It is taken off: unused.
        is_credit: bool,
    },
    /// What `used` costs less what `before` of it cost.
    Usage {
        /// `apiCalls`, `bandwidth` or `storage`.
        resource: String,
        /// `pro v1`.
        of: String,
        /// Units beyond the limit.
        used: u64,
        /// Of them, those that an earlier invoice has billed.
        before: u64,
        /// Units of a package.
        per: u64,
        /// `package`, `graduated` or `volume`.
        model: String,
        /// What packages cost; one tier without an end for `package`.
        tiers: Vec<Tier>,
    },
    /// What is due to the tenant is taken off, as much of it as there is to pay; or a negative sum becomes due to it.
    Balance {
        /// What was due to it before.
        #[serde(rename = "beforeMinor")]
        before: Money,
        /// What is due to it after.
        #[serde(rename = "afterMinor")]
        after: Money,
    },
    /// base × rate, or what of it is in `base` already.
    Tax {
        /// What is taxed: the sum of the lines above.
        #[serde(rename = "baseMinor")]
        base: Money,
        /// The rate; 19 % is 190 000.
        parts_per_million: u32,
        /// ISO 3166 code.
        country: String,
        /// How.
        treatment: TaxTreatment,
        /// Of the customer.
        #[serde(default)]
        vat_id: Option<String>,
        /// Of `base`, what is tax.
        #[serde(rename = "taxMinor")]
        tax: Money,
    },
}

/// In which time a proration counts time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// UTC dates.
    Days,
    /// Seconds.
    Seconds,
}

/// By what rule something is taxed; in a tenant's record that of its period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaxRule {
    /// ISO 3166 code; none where there is no rate, and no tax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The rate.
    pub parts_per_million: u32,
    /// Prices contain it.
    pub inclusive: bool,
    /// How it is reckoned.
    pub treatment: TaxTreatment,
}

/// How a tax is reckoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxTreatment {
    /// Added to the prices.
    Exclusive,
    /// In the prices.
    Inclusive,
    /// The customer owes it: none is charged, and one that is in the prices is taken off.
    ReverseCharge,
    /// The customer owes none: one that is in the prices is taken off.
    Exempt,
}

impl InvoiceStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Draft, Self::Open, Self::Paid, Self::Void, Self::Uncollectible];

    /// As JSON writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Void => "void",
            Self::Uncollectible => "uncollectible",
        }
    }
}

impl Issued {
    /// Tax that is charged, in the prices or on top.
    pub fn tax(&self) -> Money {
        let taxes = self.lines.iter().filter_map(|line| match &line.inputs {
            Inputs::Tax { tax, treatment: TaxTreatment::Exclusive | TaxTreatment::Inclusive, .. } => Some(*tax),
            _ => None,
        });
        taxes.sum()
    }

    /// What was paid with what was due to the tenant; negative where the invoice left it something.
    pub fn balance_used(&self) -> Money {
        let used = self.lines.iter().filter_map(|line| match &line.inputs {
            Inputs::Balance { before, after } => Some(*before - *after),
            _ => None,
        });
        used.sum()
    }

    /// The sum of the lines before tax and credit.
    pub fn subtotal(&self) -> Money {
        let lines = self.lines.iter().filter(|line| !matches!(line.kind, LineKind::Credit | LineKind::Tax));
        lines.map(|line| line.amount).sum()
    }
}
