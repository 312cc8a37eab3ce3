//! `/admin/plans`: the catalogue.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::App;
use super::error::Problem;
use super::views::{json_of, limits, page_json};
use crate::model::plan::OveragePrice;
use crate::model::{Overage, Plan, Tier};

/// The plans: prices (also in minor units), limits, rate, requests in flight and overage.
#[utoipa::path(get, path = "/admin/plans", tag = "plans",
    responses((status = 200, description = "`{\"data\": [Plan], \"nextCursor\": null}`")))]
pub async fn list(State(app): State<App>) -> Result<Response, Problem> {
    let currency = &app.config.billing.currency;
    let data = app.tenants.plans.offered().iter().map(|plan| plan_json(plan, currency)).collect();
    Ok(axum::Json(page_json(data, None)).into_response())
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
