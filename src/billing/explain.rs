//! Explains invoices: computes each line again from the inputs that it has kept, and says how in a sentence.

use super::{rating, tax};
use crate::model::invoice::{TaxTreatment, TimeUnit};
use crate::model::{Inputs, Line, Money};

/// What the inputs of a line come to.
pub fn recompute(line: &Line) -> Money {
    match &line.inputs {
        Inputs::Price { price, quantity, .. } => price.times(*quantity),
        Inputs::Proration { price, quantity, left, whole, is_credit, .. } => {
            let share = price.times(*quantity).scaled(i128::from(*left), i128::from(*whole).max(1));
            if *is_credit { -share } else { share }
        }
        Inputs::Usage { used, before, per, model, tiers, .. } => {
            rating::cost_by(model, tiers, *per, *used) - rating::cost_by(model, tiers, *per, *before)
        }
        Inputs::Balance { before, after } => *after - *before,
        Inputs::Tax { base, parts_per_million, treatment, tax, .. } => match treatment {
            TaxTreatment::Exclusive => base.scaled(i128::from(*parts_per_million), 1_000_000),
            TaxTreatment::Inclusive => Money(0),
            TaxTreatment::ReverseCharge | TaxTreatment::Exempt if tax.is_zero() => Money(0),
            TaxTreatment::ReverseCharge | TaxTreatment::Exempt => -tax::contained(*base, *parts_per_million),
        },
    }
}

/// How the amount of a line comes about: `29.00 × 15 ÷ 31 days = 14.03, taken off`.
pub fn sentence(line: &Line, currency: &str) -> String {
    let money = |amount: Money| amount.decimal(currency);
    let result = money(recompute(line));
    match &line.inputs {
        Inputs::Price { price, quantity, of } => format!("{of}: {} × {quantity} = {result}", money(*price)),
        Inputs::Proration { price, quantity, of, left, whole, unit, is_credit } => {
            let many = if *quantity == 1 { String::new() } else { format!(" × {quantity}") };
            let unit = match unit {
                TimeUnit::Days => "days",
                TimeUnit::Seconds => "seconds",
            };
            let why = if *is_credit { "paid for and not used, taken off" } else { "the rest of the period" };
            format!("{of}: {}{many} × {left} of {whole} {unit} = {result} ({why})", money(*price))
        }
        Inputs::Usage { resource, of, used, before, per, model, tiers } => {
            let steps = |units: u64| {
                let steps = rating::steps(model, tiers, units.div_ceil((*per).max(1)));
                let told: Vec<String> = steps.iter().map(|(many, price)| format!("{many} × {}", money(*price))).collect();
                told.join(" + ")
            };
            let less = if *before > 0 { format!(", less what {before} of them cost before, {}", steps(*before)) } else { String::new() };
            format!("{of}: {used} {resource} beyond the limit, per started {per}, {model}: {}{less} = {result}", steps(*used))
        }
        Inputs::Balance { before, after } => format!("credit was {} before and is {} after = {result}", money(*before), money(*after)),
        Inputs::Tax { base, parts_per_million, country, treatment, vat_id, tax } => {
            let (percent, base, tax) = (tax::percent(*parts_per_million), money(*base), money(*tax));
            let vat_id = vat_id.as_deref().unwrap_or("none");
            match treatment {
                TaxTreatment::Exclusive => format!("{country}: {base} × {percent} = {result}"),
                TaxTreatment::Inclusive => format!("{country}: {percent} are in the prices; of {base}, {tax} are tax"),
                TaxTreatment::ReverseCharge => {
                    format!("{country}: {percent} of {base} are the customer's to pay (VAT id {vat_id}), {result}")
                }
                TaxTreatment::Exempt => format!("{country}: the customer is exempt from {percent} of {base}, {result}"),
            }
        }
    }
}
