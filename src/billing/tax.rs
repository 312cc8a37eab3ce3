//! Tax: by the customer's country, on the sum of an invoice's lines, rounded once.

use crate::config::TaxRate;
use crate::model::invoice::{TaxRule, TaxTreatment};
use crate::model::{Inputs, Line, LineKind, Money, Party};

/// By what rule a customer is taxed now by a seller, who owes the tax of its own country itself.
pub fn rule(customer: &Party, seller: &Party, rates: &[TaxRate]) -> TaxRule {
    let rate = customer.country.as_deref().and_then(|country| rates.iter().find(|rate| rate.country == country));
    match rate {
        Some(rate) => TaxRule {
            country: Some(rate.country.clone()),
            parts_per_million: rate.parts_per_million,
            inclusive: rate.inclusive,
            treatment: treatment(customer, seller, rate),
        },
        None => TaxRule { country: None, parts_per_million: 0, inclusive: false, treatment: TaxTreatment::Exempt },
    }
}

/// The line of the tax on `base`; none where there is no rate.
pub fn line(base: Money, rule: &TaxRule, vat_id: Option<&str>) -> Option<Line> {
    let country = rule.country.as_deref()?;
    let contained = contained(base, rule.parts_per_million);
    let (tax, amount) = match (rule.treatment, rule.inclusive) {
        (TaxTreatment::Exclusive, _) => {
            let added = base.scaled(i128::from(rule.parts_per_million), 1_000_000);
            (added, added)
        }
        (TaxTreatment::Inclusive, _) => (contained, Money(0)),
        (TaxTreatment::ReverseCharge | TaxTreatment::Exempt, true) => (contained, -contained),
        (TaxTreatment::ReverseCharge | TaxTreatment::Exempt, false) => (Money(0), Money(0)),
    };
    Some(Line {
        kind: LineKind::Tax,
        description: description(country, rule),
        quantity: 1,
        unit_price: amount,
        amount,
        period: None,
        inputs: Inputs::Tax {
            base,
            parts_per_million: rule.parts_per_million,
            country: country.to_owned(),
            treatment: rule.treatment,
            vat_id: vat_id.map(str::to_owned),
            tax,
        },
    })
}

/// Of a sum, the tax that is in it: sum × rate ÷ (1 + rate).
pub fn contained(sum: Money, parts_per_million: u32) -> Money {
    sum.scaled(i128::from(parts_per_million), 1_000_000 + i128::from(parts_per_million))
}

/// What the law wants to be said on the invoice.
pub fn note(line: &Line) -> Option<String> {
    match &line.inputs {
        Inputs::Tax { treatment: TaxTreatment::ReverseCharge, .. } => {
            Some("Reverse charge: the recipient of the services is liable for the tax.".to_owned())
        }
        _ => None,
    }
}

/// `19 %`, `7.7 %`.
pub fn percent(parts_per_million: u32) -> String {
    let text = format!("{}.{:04}", parts_per_million / 10_000, parts_per_million % 10_000);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

fn treatment(customer: &Party, seller: &Party, rate: &TaxRate) -> TaxTreatment {
    let is_abroad = customer.country != seller.country;
    match rate {
        _ if customer.tax_exempt => TaxTreatment::Exempt,
        TaxRate { reverse_charge: true, .. } if customer.vat_id.is_some() && is_abroad => TaxTreatment::ReverseCharge,
        TaxRate { inclusive: true, .. } => TaxTreatment::Inclusive,
        TaxRate { .. } => TaxTreatment::Exclusive,
    }
}

fn description(country: &str, rule: &TaxRule) -> String {
    let percent = percent(rule.parts_per_million);
    match rule.treatment {
        TaxTreatment::Exclusive => format!("Tax {country} {percent}"),
        TaxTreatment::Inclusive => format!("Tax {country} {percent}, included"),
        TaxTreatment::ReverseCharge => format!("Tax {country} {percent}, reverse charge"),
        TaxTreatment::Exempt => format!("Tax {country} {percent}, exempt"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(country: &str, parts_per_million: u32, inclusive: bool, reverse_charge: bool) -> TaxRate {
        TaxRate { country: country.to_owned(), parts_per_million, inclusive, reverse_charge }
    }

    #[test]
    fn the_customer_decides_how_tax_is_reckoned() {
        let rates = [
            rate("DE", 190_000, true, false),
            rate("FR", 200_000, false, true),
            rate("IT", 220_000, true, true),
            rate("BE", 210_000, false, true),
        ];
        let seller = Party { country: Some("BE".to_owned()), ..Party::default() };
        // Country, VAT id, exempt, base; amount of the line, tax.
        let cases = [
            ("DE", None, false, 9900, 0, 1581),
            ("DE", Some("DE123456789"), false, 9900, 0, 1581),
            ("DE", None, true, 9900, -1581, 1581),
            ("FR", None, false, 9900, 1980, 1980),
            ("FR", Some("FR12345678901"), false, 9900, 0, 0),
            ("FR", None, true, 9900, 0, 0),
            ("IT", Some("IT12345678901"), false, 9900, -1785, 1785),
            ("FR", None, false, -333, -67, -67),
            // The seller is there itself.
            ("BE", Some("BE0123456789"), false, 9900, 2079, 2079),
        ];
        for (country, vat_id, tax_exempt, base, amount, tax) in cases {
            let customer = Party { country: Some(country.to_owned()), vat_id: vat_id.map(str::to_owned), tax_exempt, ..Party::default() };
            let found = line(Money(base), &rule(&customer, &seller, &rates), customer.vat_id.as_deref());
            let of = found.as_ref().map(|line| match line.inputs {
                Inputs::Tax { tax, .. } => (line.amount.0, tax.0),
                _ => (0, 0),
            });
            assert_eq!(of, Some((amount, tax)), "{customer:?}");
            assert_eq!(found.as_ref().and_then(note).is_some(), vat_id.is_some() && !["DE", "BE"].contains(&country));
        }
        assert_eq!(line(Money(1), &rule(&Party::default(), &seller, &rates), None), None, "no country, no tax");
        let other = Party { country: Some("US".to_owned()), ..Party::default() };
        assert_eq!(line(Money(1), &rule(&other, &seller, &rates), None), None, "no rate, no tax");
        assert_eq!([percent(190_000), percent(77_000), percent(1)], ["19 %", "7.7 %", "0.0001 %"]);
    }
}
