//! Rating: what usage beyond a limit costs, by started packages.

use super::words::{count, package};
use crate::model::plan::{OveragePrice, Pricing};
use crate::model::{Inputs, Line, LineKind, Money, Span, Tier};

/// What so many units cost.
pub fn cost(pricing: &Pricing, per: u64, units: u64) -> Money {
    cost_by(pricing.model(), &pricing.tiers(), per, units)
}

/// The same of what a line has kept.
pub fn cost_by(model: &str, tiers: &[Tier], per: u64, units: u64) -> Money {
    steps(model, tiers, units.div_ceil(per.max(1))).into_iter().map(|(many, price)| price.times(many)).sum()
}

/// How many packages are charged at which price.
pub fn steps(model: &str, tiers: &[Tier], packages: u64) -> Vec<(u64, Money)> {
    if model == "volume" {
        let reached = tiers.iter().find(|tier| tier.up_to.is_none_or(|end| packages <= end));
        return reached.map(|tier| (packages, tier.price)).into_iter().collect();
    }
    let mut before = 0;
    let of = |tier: &Tier| {
        let end = tier.up_to.unwrap_or(u64::MAX).min(packages);
        let many = end.saturating_sub(before);
        before = before.max(end);
        (many, tier.price)
    };
    tiers.iter().map(of).filter(|(many, _)| *many > 0).collect()
}

/// Usage of one resource in a period: `used` units beyond the limit, of which an earlier invoice has billed `before`.
#[derive(Debug, Clone, Copy)]
pub struct Beyond<'a> {
    /// `apiCalls`, `bandwidth` or `storage`.
    pub resource: &'static str,
    /// `pro v1`.
    pub of: &'a str,
    /// Units beyond the limit.
    pub used: u64,
    /// Of them, billed already.
    pub before: u64,
    /// When.
    pub period: Span,
}

/// The line of it; none where nothing is new, or the plan has no price.
pub fn line(beyond: Beyond<'_>, price: Option<&OveragePrice>) -> Option<Line> {
    let Beyond { resource, of, used, before, period } = beyond;
    let price = price.filter(|_| used > before)?;
    let (model, tiers) = (price.pricing.model(), price.pricing.tiers());
    let amount = cost_by(model, &tiers, price.per, used) - cost_by(model, &tiers, price.per, before);
    let packages = used.div_ceil(price.per) - before.div_ceil(price.per);
    // Where one price holds for all of it, the line multiplies; by tiers it is one sum.
    let (quantity, unit_price) = match tiers.as_slice() {
        [only] if packages > 0 => (packages, only.price),
        _ => (1, amount),
    };
    let what = match resource {
        "apiCalls" => "API calls",
        "bandwidth" => "bytes sent",
        _ => "bytes stored",
    };
    let late = if before > 0 { format!(" ({} of them billed before)", count(before)) } else { String::new() };
    Some(Line {
        kind: LineKind::Overage,
        description: format!("{} {what} beyond the limit{late}, per started {}", count(used), package(resource, price.per)),
        quantity,
        unit_price,
        amount,
        period: Some(period),
        inputs: Inputs::Usage {
            resource: resource.to_owned(),
            of: of.to_owned(),
            used,
            before,
            per: price.per,
            model: model.to_owned(),
            tiers,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiers() -> Vec<Tier> {
        [(Some(10), 50), (Some(20), 40), (None, 30)].map(|(up_to, price)| Tier { up_to, price: Money(price) }).to_vec()
    }

    #[test]
    fn packages_are_started_and_tiers_are_graduated_or_by_volume() {
        let (package, graduated, volume) = (Pricing::Package(Money(50)), Pricing::Graduated(tiers()), Pricing::Volume(tiers()));
        let cases = [(0, 0, 0, 0), (1, 50, 50, 50), (1_000, 50, 50, 50), (1_001, 100, 100, 100), (10_000, 500, 500, 500)];
        let more = [(10_001, 550, 540, 440), (20_000, 1_000, 900, 800), (20_001, 1_050, 930, 630), (35_500, 1_800, 1_380, 1_080)];
        for (units, flat, by_tier, by_volume) in cases.into_iter().chain(more) {
            assert_eq!(cost(&package, 1_000, units), Money(flat), "{units} by package");
            assert_eq!(cost(&graduated, 1_000, units), Money(by_tier), "{units} graduated");
            assert_eq!(cost(&volume, 1_000, units), Money(by_volume), "{units} by volume");
        }
    }

    #[test]
    fn what_came_late_costs_what_it_would_have_cost_in_time() {
        let price = OveragePrice { pricing: Pricing::Graduated(tiers()), per: 1_000, hard_cap: None };
        let period = Span { start: crate::model::Millis(0), end: crate::model::Millis(1) };
        let of = |used, before| line(Beyond { resource: "apiCalls", of: "x v1", used, before, period }, Some(&price));
        let amount = |used, before| of(used, before).map_or(Money(0), |line| line.amount);
        for first in [0, 1, 999, 1_000, 9_999, 10_000, 15_000, 25_000] {
            assert_eq!(amount(first, 0) + amount(25_500, first), amount(25_500, 0), "{first} first");
        }
        assert_eq!(of(5, 5), None, "nothing is new");
    }
}
