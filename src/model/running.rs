//! The period of a subscription that runs: the plans that it had, what was charged for it, and what of its usage was billed.

use serde::{Deserialize, Serialize};

use super::invoice::TaxRule;
use super::{Millis, Money, Plan, Span};

/// A period that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    /// What periods are counted from: the nth begins n months (or years) later.
    pub anchor: Millis,
    /// Which one it is, from 0.
    pub index: u32,
    /// When it began, and when it ends.
    #[serde(flatten)]
    pub span: Span,
    /// The plans that it had in it, in order; never empty.
    pub parts: Vec<Part>,
    /// By what it was taxed when it was charged; that of the day where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taxed: Option<TaxRule>,
    /// What is agreed and was not charged by itself: an invoice of the period was voided, given up or credited whole, or it came for
    /// something of the same price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncharged: Vec<Uncharged>,
}

/// Something with a price for a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// `pro v1`, `seats`.
    pub of: String,
    /// As invoices name it.
    pub title: String,
    /// Of one, for a period.
    pub price: Money,
    /// How many.
    pub quantity: u64,
    /// Whether it is the plan.
    pub is_plan: bool,
}

/// Something that was not charged for by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uncharged {
    /// As it is agreed.
    pub item: Item,
    /// What is charged for in its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instead: Vec<Item>,
}

/// A part of a period with one plan, to its end or to the next part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// When it began.
    pub from: Millis,
    /// Name of the plan.
    pub plan: String,
    /// Its version.
    pub plan_version: u32,
    /// What the day had counted beyond limits by then, and of storage the month; it belongs to the parts before.
    #[serde(default, skip_serializing_if = "Over::is_none")]
    pub counted: Over,
}

impl Part {
    /// A part with this plan, before which so much of its first day and month had been counted.
    pub fn of(plan: &Plan, from: Millis, counted: Over) -> Self {
        Self { from, plan: plan.name.clone(), plan_version: plan.version, counted }
    }
}

/// What was used beyond limits that a plan bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Over {
    /// Calls.
    pub api_calls: u64,
    /// Bytes sent.
    pub bandwidth: u64,
    /// The most bytes stored in a month, summed over months.
    pub storage: u64,
}

impl Over {
    /// True where nothing was.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Usage as it was billed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rated {
    /// The period.
    pub span: Span,
    /// Its parts.
    pub parts: Vec<Part>,
    /// What was billed of each.
    pub billed: Vec<Over>,
}

/// Storage that was billed before its month was over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Early {
    /// Which month, such as `2026-11`.
    pub month: String,
    /// Octets beyond the limit that were billed.
    pub storage: u64,
}
