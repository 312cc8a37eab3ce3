//! What a subscription is made of: a plan and add-ons, each with its price and quantity.

use crate::model::running::Item;
use crate::model::{BillingCycle, Money, Plan, Terms};

/// What these terms are made of, the plan first.
pub fn items(terms: &Terms, plan: &Plan) -> Vec<Item> {
    let mut items = vec![Item {
        of: of_plan(&plan.name, plan.version),
        title: format!("{} Plan", plan.title()),
        price: plan_price(terms, plan, terms.billing_cycle),
        quantity: 1,
        is_plan: true,
    }];
    items.extend(terms.add_ons.iter().map(|bought| Item {
        of: bought.add_on.name.clone(),
        title: bought.add_on.title.clone(),
        price: bought.add_on.price(terms.billing_cycle),
        quantity: bought.quantity,
        is_plan: false,
    }));
    items
}

/// `pro v1`.
pub fn of_plan(name: &str, version: u32) -> String {
    format!("{name} v{version}")
}

/// What a period costs.
pub fn price_of_period(terms: &Terms, plan: &Plan) -> Money {
    items(terms, plan).iter().map(|item| item.price.times(item.quantity)).sum()
}

/// What a year costs at these terms: twelve months, or the year.
pub fn price_of_year(terms: &Terms, plan: &Plan) -> Money {
    price_of_period(terms, plan).times(match terms.billing_cycle {
        BillingCycle::Monthly => 12,
        BillingCycle::Yearly => 1,
    })
}

/// Whether a change is to a lower price: that of their cycle, or of a month where the cycle changes as well, so that a yearly rebate
/// makes no upgrade a downgrade.
pub fn costs_less((terms, plan): (&Terms, &Plan), (before, old): (&Terms, &Plan)) -> bool {
    match terms.billing_cycle == before.billing_cycle {
        true => price_of_period(terms, plan) < price_of_period(before, old),
        false => price_of_month(terms, plan) < price_of_month(before, old),
    }
}

/// What a month would cost, whatever the cycle.
fn price_of_month(terms: &Terms, plan: &Plan) -> Money {
    let add_ons = terms.add_ons.iter().map(|bought| bought.add_on.price_monthly.times(bought.quantity));
    plan_price(terms, plan, BillingCycle::Monthly) + add_ons.sum()
}

/// True where anything can ever be billed.
pub fn is_billed(terms: &Terms, plan: &Plan) -> bool {
    price_of_year(terms, plan).0 != 0 || !terms.add_ons.is_empty() || plan.bills_usage()
}

fn plan_price(terms: &Terms, plan: &Plan, cycle: BillingCycle) -> Money {
    let agreed = terms.overrides.and_then(|overrides| match cycle {
        BillingCycle::Monthly => overrides.price_monthly,
        BillingCycle::Yearly => overrides.price_yearly,
    });
    agreed.unwrap_or_else(|| plan.price(cycle))
}
