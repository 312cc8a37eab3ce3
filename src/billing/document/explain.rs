//! How each line of an invoice came about, in a few words, from what it was computed of.

use crate::model::invoice::{Inputs, Line, TaxTreatment, TimeUnit};
use crate::model::{Money, Tier};

use super::texts::{amount, given, line, percent};
use crate::billing::words::{count, package};

/// Of a line above the subtotal; none where its own columns tell all.
pub fn row(row: &Line, currency: &str) -> Option<String> {
    match &row.inputs {
        Inputs::Proration { price, quantity, left, whole, unit, is_credit, .. } => {
            let unused = if *is_credit { "Unused: " } else { "" };
            let times = if *quantity == 1 { String::new() } else { format!(" × {}", count(*quantity)) };
            let unit = match unit {
                TimeUnit::Days => "days",
                TimeUnit::Seconds => "seconds",
            };
            let [left, whole] = [left, whole].map(|units| count(u64::try_from(*units).unwrap_or_default()));
            Some(format!("{unused}{}{times} × {left} of {whole} {unit}", amount(*price, currency)))
        }
        Inputs::Usage { resource, used, before, per, model, tiers, .. } => {
            let late = if *before == 0 { String::new() } else { format!("{} of {} billed before; ", count(*before), count(*used)) };
            Some(format!("{late}{}", prices(model, &package(resource, *per), tiers, currency)))
        }
        Inputs::Price { .. } | Inputs::Balance { .. } | Inputs::Tax { .. } => None,
    }
}

/// Of a line below the subtotal: tax, and credit.
pub fn sum(sum: &Line, currency: &str) -> Option<String> {
    match &sum.inputs {
        Inputs::Tax { base, parts_per_million, country, treatment, vat_id, tax } => {
            let rate = percent(*parts_per_million);
            let (of, base) = (base, amount(*base, currency));
            let off = if sum.amount < Money(0) { "; the tax in the prices is taken off" } else { "" };
            let how = match treatment {
                TaxTreatment::Exclusive => format!("{rate} of {base}, added to the prices"),
                TaxTreatment::Inclusive => format!(
                    "{rate}, included in the prices: {base} are {} and {} tax",
                    amount(*of - *tax, currency),
                    amount(*tax, currency)
                ),
                TaxTreatment::ReverseCharge => {
                    let id = given(vat_id.as_deref()).map(|id| format!(", VAT id {id},")).unwrap_or_default();
                    format!("Reverse charge: the customer{id} owes the tax of {rate}{off}")
                }
                TaxTreatment::Exempt => format!("Exempt: no tax is charged{off}"),
            };
            Some(given(Some(country)).map_or(how.clone(), |country| format!("{country}: {how}")))
        }
        Inputs::Balance { before, after } => {
            Some(format!("Credit before: {}, after: {}", amount(*before, currency), amount(*after, currency)))
        }
        Inputs::Price { .. } | Inputs::Proration { .. } | Inputs::Usage { .. } => None,
    }
}

/// `0.50 per 1,000`; by tiers `graduated per 1,000: first 100 at 0.50, up to 500 at 0.40, then 0.30`.
fn prices(model: &str, per: &str, tiers: &[Tier], currency: &str) -> String {
    if let [only] = tiers {
        return format!("{} per {per}", amount(only.price, currency));
    }
    let told = tiers.iter().enumerate().map(|(place, tier)| {
        let price = amount(tier.price, currency);
        match (tier.up_to, place) {
            (Some(end), 0) => format!("first {} at {price}", count(end)),
            (Some(end), _) => format!("up to {} at {price}", count(end)),
            (None, _) => format!("then {price}"),
        }
    });
    let told: Vec<String> = told.collect();
    format!("{} prices per {per}: {}", line(model), told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{line_of, tax_line};
    use super::*;
    use crate::model::LineKind;

    #[test]
    fn a_line_tells_what_it_was_computed_of() {
        let proration = |quantity, is_credit, unit| Inputs::Proration {
            price: Money(9900),
            quantity,
            of: "pro v1".to_owned(),
            left: 15,
            whole: 31,
            unit,
            is_credit,
        };
        let usage = |before, model: &str, tiers: &[(Option<u64>, i64)]| Inputs::Usage {
            resource: "apiCalls".to_owned(),
            of: "pro v1".to_owned(),
            used: 12_500,
            before,
            per: 1000,
            model: model.to_owned(),
            tiers: tiers.iter().map(|(up_to, price)| Tier { up_to: *up_to, price: Money(*price) }).collect(),
        };
        let tiers = [(Some(100), 50), (Some(500), 40), (None, 30)];
        let cases = [
            (proration(1, false, TimeUnit::Days), "99.00 × 15 of 31 days"),
            (proration(3, true, TimeUnit::Seconds), "Unused: 99.00 × 3 × 15 of 31 seconds"),
            (usage(0, "package", &[(None, 50)]), "0.50 per 1,000"),
            (
                usage(2000, "graduated", &tiers),
                "2,000 of 12,500 billed before; \
                 graduated prices per 1,000: first 100 at 0.50, up to 500 at 0.40, then 0.30",
            ),
        ];
        for (inputs, expected) in cases {
            assert_eq!(row(&line_of(LineKind::Overage, "", 1, 100, inputs), "USD").as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_tax_tells_its_rate_and_how_it_is_reckoned() {
        let cases = [
            (TaxTreatment::Exclusive, 1881, None, "DE: 19\u{a0}% of 99.00, added to the prices"),
            (TaxTreatment::Inclusive, 0, None, "DE: 19\u{a0}%, included in the prices: 99.00 are 83.19 and 15.81 tax"),
            (TaxTreatment::ReverseCharge, 0, None, "DE: Reverse charge: the customer owes the tax of 19\u{a0}%"),
            (
                TaxTreatment::ReverseCharge,
                -1581,
                Some("DE123"),
                "DE: Reverse charge: the customer, VAT id DE123, owes the tax of 19\u{a0}%; the tax in the prices is taken off",
            ),
            (TaxTreatment::Exempt, 0, None, "DE: Exempt: no tax is charged"),
        ];
        for (treatment, amount, vat_id, expected) in cases {
            let tax = tax_line(treatment, amount, 1581, vat_id);
            assert_eq!(sum(&tax, "USD").as_deref(), Some(expected));
        }
    }
}
