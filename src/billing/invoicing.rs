//! What an invoice is made of: lines, then tax on their sum, then what is due to the tenant.

use super::tax;
use crate::model::invoice::TaxRule;
use crate::model::running::Item;
use crate::model::{BillingCycle, Inputs, Line, LineKind, Money, Span};

/// By what an invoice is taxed.
#[derive(Debug, Clone)]
pub struct Taxes<'a> {
    /// What is charged.
    pub now: TaxRule,
    /// What is taken off of a period that was charged before: it is given back with the tax that it was charged with.
    pub before: Option<&'a TaxRule>,
    /// Of the customer.
    pub vat_id: Option<&'a str>,
}

impl Taxes<'_> {
    /// The tax on the sum of the lines; where the rule was another one, on what is taken off and on all else apart.
    fn of(&self, lines: &[Line]) -> Vec<Line> {
        let sum = |takes_off: fn(&Line) -> bool| lines.iter().filter(|line| takes_off(line)).map(|line| line.amount).sum::<Money>();
        let taxed: Vec<(Money, &TaxRule)> = match self.before.filter(|before| **before != self.now) {
            Some(before) => vec![(sum(|line| line.amount.0 < 0), before), (sum(|line| line.amount.0 >= 0), &self.now)],
            None => vec![(sum(|_| true), &self.now)],
        };
        let some = taxed.into_iter().filter(|(base, _)| !base.is_zero());
        some.filter_map(|(base, rule)| tax::line(base, rule, self.vat_id)).collect()
    }
}

/// What amounts can be charged, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chargeable {
    /// Multiples of it.
    pub unit: i64,
    /// Not less.
    pub least: i64,
}

impl Default for Chargeable {
    /// Any amount.
    fn default() -> Self {
        Self { unit: 1, least: 0 }
    }
}

/// The sum of an invoice.
#[derive(Debug, Clone, PartialEq)]
pub struct Reckoned {
    /// All lines; they add up to `total`.
    pub lines: Vec<Line>,
    /// What is to be paid, 0 or more.
    pub total: Money,
    /// What is due to the tenant after it; negative where it owes what was too little to be charged.
    pub credit: Money,
    /// What the law wants to be said.
    pub note: Option<String>,
}

/// A whole period of something.
pub fn whole(item: &Item, cycle: BillingCycle, period: Span) -> Line {
    Line {
        kind: if item.is_plan { LineKind::Subscription } else { LineKind::Addon },
        description: format!("{} - {}", item.title, cycle.as_str()),
        quantity: item.quantity,
        unit_price: item.price,
        amount: item.price.times(item.quantity),
        period: Some(period),
        inputs: Inputs::Price { price: item.price, quantity: item.quantity, of: item.of.clone() },
    }
}

/// Adds tax and what is due to the tenant. A negative sum becomes due to it, so that nothing is ever to be paid to anybody. What is to
/// be paid is a multiple of `unit`: what that makes it more is due to the tenant. Lines that come to nothing make no invoice.
pub fn reckon(mut lines: Vec<Line>, (credit, unit): (Money, i64), taxes: &Taxes<'_>) -> Reckoned {
    if lines.iter().map(|line| line.amount).sum::<Money>().is_zero() {
        return Reckoned { lines, total: Money(0), credit, note: None };
    }
    let taxed = taxes.of(&lines);
    let note = taxed.iter().find_map(tax::note);
    lines.extend(taxed);
    let sum: Money = lines.iter().map(|line| line.amount).sum();
    // Taken off as far as there is something to pay; what is below zero is put to it.
    let taken = sum.min(credit);
    let beyond = (sum - taken).0 % unit;
    let taken = if beyond > 0 { taken - Money(unit - beyond) } else { taken };
    let after = credit - taken;
    if !taken.is_zero() {
        let description = match taken.0 {
            1.. => "Credit applied",
            _ if credit.0 < 0 && sum > credit => "Left from an earlier invoice",
            _ if sum.0 > 0 => "Rounded up to what can be charged, for your credit",
            _ => "Added to your credit",
        };
        lines.push(Line {
            kind: LineKind::Credit,
            description: description.to_owned(),
            quantity: 1,
            unit_price: -taken,
            amount: -taken,
            period: None,
            inputs: Inputs::Balance { before: credit, after },
        });
    }
    Reckoned { lines, total: sum - taken, credit: after, note }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::TaxRate;
    use crate::model::Party;

    fn line(amount: i64) -> Line {
        let item = Item { of: "x".to_owned(), title: "X".to_owned(), price: Money(amount), quantity: 1, is_plan: true };
        whole(&item, BillingCycle::Monthly, Span { start: crate::model::Millis(0), end: crate::model::Millis(1) })
    }

    proptest! {
        #[test]
        fn no_cent_is_lost_or_made(amounts in proptest::collection::vec(-100_000_i64..100_000, 0..9), credit in -100_i64..300_000, kind in 0..4, unit in proptest::sample::select(vec![1, 10, 100])) {
            let rates = [TaxRate { country: "DE".to_owned(), parts_per_million: 190_000, inclusive: kind % 2 == 0, reverse_charge: kind > 1 }];
            let customer = Party { country: Some("DE".to_owned()), vat_id: Some("DE1".to_owned()), ..Party::default() };
            let before = Money(credit);
            let earlier = TaxRule { parts_per_million: 70_000, ..tax::rule(&customer, &Party::default(), &rates) };
            let taxes = Taxes { now: tax::rule(&customer, &Party::default(), &rates), before: (unit > 1).then_some(&earlier), vat_id: None };
            let reckoned = reckon(amounts.iter().map(|amount| line(*amount)).collect(), (before, unit), &taxes);
            prop_assert!(reckoned.total.0 >= 0 && reckoned.total.0 % unit == 0);
            prop_assert!(reckoned.credit.0 >= 0 || (reckoned.total.is_zero() && reckoned.credit >= before), "what is owed is paid first");
            prop_assert_eq!(reckoned.lines.iter().map(|line| line.amount).sum::<Money>(), reckoned.total);
            let charged: Money = reckoned.lines.iter().filter(|line| line.kind != LineKind::Credit).map(|line| line.amount).sum();
            prop_assert_eq!(charged, reckoned.total + before - reckoned.credit);
            prop_assert!(reckoned.total.is_zero() || (0..unit).contains(&reckoned.credit.0), "credit is used before anything is to be paid");
        }
    }
}
