//! A tenant's subscription: what it has agreed to pay for, the period that runs, what it owes, and what is due next.
//!
//! It lies in the tenant's record, so that each step of billing is one commit with one precondition.

use serde::{Deserialize, Serialize};

use super::running::{Early, Rated};
use super::{AddOn, BillingCycle, CreditNoteId, InvoiceId, Limits, Millis, Money, Plan, Running};

/// What a tenant has agreed to, and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Subscription {
    /// Which version of its plan it has.
    pub plan_version: u32,
    /// What it has bought beside the plan, at the prices of then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_ons: Vec<Bought>,
    /// What was agreed with it alone; for the plan that it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Overrides>,
    /// The period that runs; none in a trial, on a plan without a price, and once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<Running>,
    /// What changes at the end of the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<Terms>,
    /// What changes once this invoice is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub awaiting: Option<Awaiting>,
    /// It ends with the period.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cancel_at_period_end: bool,
    /// Why, as the operator said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_reason: Option<String>,
    /// It was suspended because it did not pay; when it pays, it is served again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_suspended_unpaid: bool,
    /// What is due to it, taken off its next invoices.
    #[serde(skip_serializing_if = "Money::is_zero")]
    pub credit: Money,
    /// Invoices that are open, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<Owed>,
    /// Refunds that the provider has not confirmed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refunds: Vec<Refunding>,
    /// Usage of the period before, as it was billed; what came later is billed next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rated: Option<Rated>,
    /// Storage of a month that was billed before the month was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_early: Option<Early>,
    /// Who takes its money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payer: Option<Payer>,
    /// What it pays in a year, and how that has changed in the month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revenue: Option<Revenue>,
}

/// What is paid for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// Name of the plan.
    pub plan: String,
    /// Its version.
    pub plan_version: u32,
    /// How often it is paid.
    pub billing_cycle: BillingCycle,
    /// What is bought beside it.
    #[serde(default)]
    pub add_ons: Vec<Bought>,
    /// What was agreed with this tenant alone.
    #[serde(default)]
    pub overrides: Option<Overrides>,
}

/// An add-on and how many of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bought {
    /// What, as the catalogue had it.
    #[serde(flatten)]
    pub add_on: AddOn,
    /// How many, at least 1.
    pub quantity: u64,
}

/// What was agreed with one tenant, instead of what its plan says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Overrides {
    /// Price of a month.
    #[serde(rename = "priceMonthlyMinor", skip_serializing_if = "Option::is_none")]
    pub price_monthly: Option<Money>,
    /// Price of a year.
    #[serde(rename = "priceYearlyMinor", skip_serializing_if = "Option::is_none")]
    pub price_yearly: Option<Money>,
    /// Each limit that differs.
    pub limits: OtherLimits,
}

/// Limits that differ from the plan's: `None` is the plan's, `Some(None)` is unlimited. A name that is none is refused: it would be an
/// agreement that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct OtherLimits {
    /// Users of the app.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub max_users: Option<Option<u64>>,
    /// Projects of the app.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub max_projects: Option<Option<u64>>,
    /// Bytes stored.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub max_storage: Option<Option<u64>>,
    /// API calls per UTC day.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub max_api_calls: Option<Option<u64>>,
    /// Response body bytes per UTC month.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub max_bandwidth: Option<Option<u64>>,
}

/// From here on, up to but without there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first moment.
    pub start: Millis,
    /// The first moment after it.
    pub end: Millis,
}

/// An invoice that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owed {
    /// Which.
    pub invoice: InvoiceId,
    /// What is left to pay.
    pub due: Money,
    /// Until when.
    pub due_at: Millis,
    /// When its payment is tried next; none where nobody collects it, or no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub try_at: Option<Millis>,
    /// How often it was tried; the number of the attempt under way.
    #[serde(default)]
    pub attempts: u32,
    /// An attempt is under way: it is repeated under the same number until its outcome is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_trying: bool,
    /// A charge was declined, or the due date has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Millis>,
    /// The payment that the provider has begun and not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<String>,
    /// What the attempt under way is charged to, whatever the tenant pays with by now: the same attempt is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
}

/// A refund under way: it is asked for under the same key until its outcome is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refunding {
    /// Of which invoice.
    pub invoice: InvoiceId,
    /// By which credit note.
    pub note: CreditNoteId,
    /// When it is asked for next.
    pub try_at: Millis,
}

/// A change that waits for its payment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Awaiting {
    /// The invoice of it.
    pub invoice: InvoiceId,
    /// What comes then.
    pub terms: Terms,
    /// The period as it will be.
    pub period: Option<Running>,
    /// Usage of a period that ends with it.
    pub rated: Option<Rated>,
}

/// What is collected from, by the provider's names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// Which.
    pub id: String,
    /// Its kind, such as `card`.
    pub kind: String,
}

/// Who takes a tenant's money, by the provider's names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Payer {
    /// The provider's customer.
    pub customer: String,
    /// Its payment method; without one nothing is collected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// As people know it, such as `visa •••• 4242`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
}

/// What a tenant pays in a year, and how that has changed in the month of the last change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Revenue {
    /// The month of the last change, such as `2026-11`.
    pub month: String,
    /// What it paid in a year when that month began.
    pub at_first: Money,
    /// What it pays in a year now.
    pub yearly: Money,
    /// It had paid before that month.
    pub had_paid: bool,
    /// It has paid at some time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_paid: bool,
    /// A trial ended in that month: whether it is followed by a paid period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial: Option<bool>,
}

impl Default for Subscription {
    fn default() -> Self {
        Self {
            plan_version: 1,
            add_ons: Vec::new(),
            overrides: None,
            period: None,
            pending: None,
            awaiting: None,
            cancel_at_period_end: false,
            cancel_reason: None,
            is_suspended_unpaid: false,
            credit: Money(0),
            open: Vec::new(),
            refunds: Vec::new(),
            rated: None,
            stored_early: None,
            payer: None,
            revenue: None,
        }
    }
}

impl Terms {
    /// What a tenant may use: the plan with what was agreed and bought besides.
    pub fn applied_to(&self, plan: &Plan) -> Plan {
        let mut plan = plan.clone();
        if let Some(overrides) = self.overrides {
            plan.limits = overrides.limits.over(&plan.limits);
        }
        for bought in &self.add_ons {
            plan.limits = plan.limits.plus(&bought.add_on.adds, bought.quantity);
        }
        plan
    }

    /// True where a tenant has just what its plan says.
    pub fn is_plain(&self) -> bool {
        self.overrides.is_none() && self.add_ons.is_empty()
    }
}

impl OtherLimits {
    /// These instead of those of `limits` that differ.
    pub fn over(&self, limits: &Limits) -> Limits {
        Limits {
            max_users: self.max_users.unwrap_or(limits.max_users),
            max_projects: self.max_projects.unwrap_or(limits.max_projects),
            max_storage: self.max_storage.unwrap_or(limits.max_storage),
            max_api_calls: self.max_api_calls.unwrap_or(limits.max_api_calls),
            max_bandwidth: self.max_bandwidth.unwrap_or(limits.max_bandwidth),
        }
    }

    /// These, but those of `other` that allow more, of a plan with `limits`.
    pub fn raised_to(self, other: &Self, limits: &Limits) -> Self {
        let most = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
        let more = |this: Option<Option<u64>>, other: Option<Option<u64>>, plan: Option<u64>| {
            if most(other.unwrap_or(plan)) > most(this.unwrap_or(plan)) { other } else { this }
        };
        Self {
            max_users: more(self.max_users, other.max_users, limits.max_users),
            max_projects: more(self.max_projects, other.max_projects, limits.max_projects),
            max_storage: more(self.max_storage, other.max_storage, limits.max_storage),
            max_api_calls: more(self.max_api_calls, other.max_api_calls, limits.max_api_calls),
            max_bandwidth: more(self.max_bandwidth, other.max_bandwidth, limits.max_bandwidth),
        }
    }
}

/// A member that is there, `null` or not.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
