//! How plans and add-ons look in JSON: prices also in minor units, `null` is unlimited.

use http::StatusCode;
use serde_json::{Value, json};

use super::views::{json_of, limits};
use crate::model::plan::OveragePrice;
use crate::model::{AddOn, Overage, Plan, Tier};
use crate::tenancy::{Added, Listed, Source};

/// A version of a plan as JSON writes it.
pub fn listed_json(listed: &Listed, currency: &str) -> Value {
    let mut view = plan_json(&listed.plan, currency);
    view["source"] = json!(listed.source);
    view["createdAt"] = json!(listed.created_at);
    view["isOffered"] = json!(listed.is_offered);
    view
}

/// An add-on as JSON writes it.
pub fn add_on_json(add_on: &AddOn, source: Source, currency: &str) -> Value {
    json!({
        "name": add_on.name,
        "title": add_on.title,
        "currency": currency,
        "priceMonthly": add_on.price_monthly.major(currency),
        "priceMonthlyMinor": add_on.price_monthly.0,
        "priceYearly": add_on.price_yearly.major(currency),
        "priceYearlyMinor": add_on.price_yearly.0,
        "adds": json_of(&limits(&add_on.adds)),
        "source": source,
    })
}

fn plan_json(plan: &Plan, currency: &str) -> Value {
    json!({
        "name": plan.name,
        "version": plan.version,
        "currency": currency,
        "priceMonthly": plan.price_monthly.major(currency),
        "priceMonthlyMinor": plan.price_monthly.0,
        "priceYearly": plan.price_yearly.major(currency),
        "priceYearlyMinor": plan.price_yearly.0,
        "limits": json_of(&limits(&plan.limits)),
        "rate": plan.rate.map(|rate| json!({"perSecond": rate.per_second, "burst": rate.burst})),
        "concurrency": plan.concurrency,
        "overage": overage_json(&plan.overage, currency),
        "features": plan.features,
    })
}

fn overage_json(overage: &Overage, currency: &str) -> Value {
    let price = |price: &OveragePrice| {
        let (model, tiers) = (price.pricing.model(), price.pricing.tiers());
        let flat = tiers.first().filter(|_| tiers.len() == 1).map(|tier| tier.price);
        let tier = |tier: &Tier| json!({"upTo": tier.up_to.map(|packages| packages.saturating_mul(price.per)), "price": tier.price.major(currency), "priceMinor": tier.price.0});
        json!({
            "model": model,
            "price": flat.map(|price| price.major(currency)),
            "priceMinor": flat.map(|price| price.0),
            "per": price.per,
            "tiers": tiers.iter().map(tier).collect::<Vec<_>>(),
            "hardCap": price.hard_cap,
        })
    };
    match overage {
        Overage::Block => json!("block"),
        Overage::Billed { api_calls, bandwidth, storage } => json!({
            "apiCalls": api_calls.as_ref().map(price),
            "bandwidth": bandwidth.as_ref().map(price),
            "storage": storage.as_ref().map(price),
        }),
    }
}

/// 201 for what was not there.
pub const fn status_of(added: Added) -> StatusCode {
    match added {
        Added::New => StatusCode::CREATED,
        Added::Instead | Added::Known => StatusCode::OK,
    }
}
