//! What a tenant asks to pay for, read into terms: a plan of the catalogue, add-ons, and what was agreed with it alone.

use super::Desk;
use crate::model::subscription::Bought;
use crate::model::{BillingCycle, Money, Overrides, Tenant, Terms};
use crate::tenancy::{FieldError, did_you_mean, rules};

/// Of one add-on.
const MOST: u64 = 1_000_000;

/// What was asked for; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Name of a plan. A plan that the tenant does not have comes in its newest version.
    pub plan: String,
    /// Another version of the plan; 0 is the newest.
    pub plan_version: Option<u32>,
    /// How often it is paid.
    pub billing_cycle: BillingCycle,
    /// Names and quantities of all add-ons.
    pub add_ons: Option<Vec<(String, u64)>>,
    /// What is agreed; `Some(None)` is nothing any more.
    pub overrides: Option<Option<Overrides>>,
}

impl Wanted {
    /// The terms that this leads to.
    ///
    /// # Errors
    ///
    /// Each member that names something that is not there.
    pub fn terms(&self, tenant: &Tenant, desk: Desk<'_>) -> Result<Terms, Vec<FieldError>> {
        let mut errors = Vec::new();
        let stays = self.plan == tenant.plan;
        let version = match self.plan_version {
            None if stays => Ok(tenant.subscription.plan_version),
            None | Some(0) => rules::plan(&self.plan, desk.plans).map(|plan| plan.version),
            Some(version) => match desk.plans.version(&self.plan, version) {
                Some(_) => Ok(version),
                None => rules::plan(&self.plan, desk.plans).and_then(|_| {
                    let detail = format!("the plan `{}` has no version {version}", self.plan);
                    Err(FieldError::new("/planVersion", "unknown_version", detail))
                }),
            },
        };
        let plan_version = version.map_err(|error| errors.push(error)).unwrap_or(1);
        let add_ons = match &self.add_ons {
            None => tenant.subscription.add_ons.clone(),
            Some(wanted) => wanted.iter().enumerate().filter_map(|(at, one)| bought(at, one, tenant, desk, &mut errors)).collect(),
        };
        let mut names: Vec<&str> = add_ons.iter().map(|bought: &Bought| bought.add_on.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            errors.push(FieldError::new("/addOns", "duplicate", "an add-on is named once, with its quantity"));
        }
        // What was agreed was agreed for a plan.
        let overrides = self.overrides.unwrap_or(if stays { tenant.subscription.overrides } else { None });
        let prices = overrides.map_or([None, None], |it| [it.price_monthly, it.price_yearly]);
        for (price, pointer) in prices.into_iter().zip(["/overrides/priceMonthlyMinor", "/overrides/priceYearlyMinor"]) {
            if let Some(Err(error)) = price.map(|price| Money::price(price.0)) {
                errors.push(FieldError::new(pointer, "invalid", error.to_string()));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Terms { plan: self.plan.clone(), plan_version, billing_cycle: self.billing_cycle, add_ons, overrides })
    }
}

/// An add-on of which the tenant has some already keeps its price.
fn bought(at: usize, (name, quantity): &(String, u64), tenant: &Tenant, desk: Desk<'_>, errors: &mut Vec<FieldError>) -> Option<Bought> {
    if !(1..=MOST).contains(quantity) {
        let detail = format!("a quantity is 1 to {MOST}; leave an add-on out that is not wanted");
        errors.push(FieldError::new(format!("/addOns/{at}/quantity"), "invalid", detail));
        return None;
    }
    let kept = tenant.subscription.add_ons.iter().find(|bought| bought.add_on.name == *name).map(|bought| bought.add_on.clone());
    let Some(add_on) = kept.or_else(|| desk.plans.add_on(name)) else {
        let known = desk.plans.add_ons();
        let hint = did_you_mean(name, known.iter().map(|add_on| add_on.name.as_str()));
        let detail = format!("there is no add-on `{}`{hint}", name.escape_debug());
        errors.push(FieldError::new(format!("/addOns/{at}/name"), "unknown_add_on", detail));
        return None;
    };
    Some(Bought { add_on, quantity: *quantity })
}
