//! Revenue: what tenants pay by the month, and how that moves from one month to the next. Pure functions; the sums stay in yearly
//! amounts of minor units, and a twelfth is taken once, at the end.
//!
//! - What counts is the price of the terms that a tenant has, add-ons and agreed prices included, from the first day of its first
//!   paid period until it is suspended, canceled or deleted. Trials, usage, one-off prorations and taxes on top do not count.
//! - A month compares a tenant at its beginning with the tenant at its end: what came and went in between is no movement.
//! - A tenant that pays and did not before is new, or reactivated where it had paid in an earlier month.
//! - A trial is converted where something is paid after it, and lost where not. One that is suspended while it lasts is neither yet.

use std::ops::{AddAssign, SubAssign};

use crate::model::subscription::Revenue;
use crate::model::{Money, Month};

/// What tenants come to at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// What they pay in a year.
    pub yearly: i128,
    /// How many pay.
    pub customers: i64,
    /// How many are in their trial.
    pub trials: i64,
    /// What is owed on invoices that are open.
    pub open: i128,
    /// Of it, what is overdue or was declined.
    pub overdue: i128,
}

/// Tenants, and what they pay in a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flow {
    /// In minor units.
    pub yearly: i128,
    /// How many.
    pub customers: i64,
}

/// How revenue moved in a month. No amount is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moves {
    /// Pay for the first time.
    pub new: Flow,
    /// Pay again.
    pub reactivation: Flow,
    /// Pay more.
    pub expansion: Flow,
    /// Pay less.
    pub contraction: Flow,
    /// Pay no more.
    pub churn: Flow,
    /// Trials that became customers.
    pub converted: i64,
    /// Trials that did not.
    pub lost: i64,
}

/// One tenant's part in that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    /// What it paid in a year when the month began.
    pub at_first: Money,
    /// What it pays in a year at its end.
    pub yearly: Money,
    /// It had paid before the month.
    pub had_paid: bool,
    /// A trial ended in it: whether it is followed by a paid period.
    pub trial: Option<bool>,
}

impl From<&Revenue> for Moved {
    fn from(figures: &Revenue) -> Self {
        let Revenue { at_first, yearly, had_paid, trial, .. } = figures;
        Self { at_first: *at_first, yearly: *yearly, had_paid: *had_paid, trial: *trial }
    }
}

/// A month from its beginning to its end, or to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// At its beginning.
    pub begun: Flow,
    /// At its end.
    pub ended: Flow,
    /// In between.
    pub moves: Moves,
}

/// What a step of billing leaves of a tenant.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// When.
    pub month: Month,
    /// What it pays in a year.
    pub yearly: Money,
    /// Whether its trial has ended with something paid, or runs again (`Some(None)`), where this step decides that.
    pub trial: Option<Option<bool>>,
}

/// The figures after a step; none where it changes none.
pub fn figures(known: Option<&Revenue>, seen: Seen) -> Option<Revenue> {
    let known = known.cloned().unwrap_or_default();
    if known.yearly == seen.yearly && seen.trial.is_none() {
        return None;
    }
    // A month that was told does not change any more, also where a step comes late.
    let month = seen.month.to_string().max(known.month.clone());
    let goes_on = known.month == month;
    Some(Revenue {
        at_first: if goes_on { known.at_first } else { known.yearly },
        yearly: seen.yearly,
        had_paid: if goes_on { known.had_paid } else { known.has_paid || !known.yearly.is_zero() },
        has_paid: known.has_paid || !known.yearly.is_zero() || !seen.yearly.is_zero(),
        trial: seen.trial.unwrap_or(if goes_on { known.trial } else { None }),
        month,
    })
}

/// A twelfth of a year's amount, rounded once.
pub fn per_month(yearly: i128) -> Money {
    money(yearly).scaled(1, 12)
}

/// A sum as an amount; the largest there is where it would be more.
pub fn money(sum: i128) -> Money {
    Money(i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX }))
}

impl Totals {
    /// Those who pay.
    pub const fn paying(&self) -> Flow {
        Flow { yearly: self.yearly, customers: self.customers }
    }

    /// What each pays in a month, on average.
    pub fn average(&self) -> Option<Money> {
        self.paying().average()
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.yearly += other.yearly;
        self.customers += other.customers;
        self.trials += other.trials;
        self.open += other.open;
        self.overdue += other.overdue;
    }
}

impl SubAssign for Totals {
    fn sub_assign(&mut self, other: Self) {
        self.yearly -= other.yearly;
        self.customers -= other.customers;
        self.trials -= other.trials;
        self.open -= other.open;
        self.overdue -= other.overdue;
    }
}

impl AddAssign for Flow {
    fn add_assign(&mut self, other: Self) {
        self.yearly += other.yearly;
        self.customers += other.customers;
    }
}

impl SubAssign for Flow {
    fn sub_assign(&mut self, other: Self) {
        self.yearly -= other.yearly;
        self.customers -= other.customers;
    }
}

impl AddAssign for Moves {
    fn add_assign(&mut self, other: Self) {
        self.new += other.new;
        self.reactivation += other.reactivation;
        self.expansion += other.expansion;
        self.contraction += other.contraction;
        self.churn += other.churn;
        self.converted += other.converted;
        self.lost += other.lost;
    }
}

impl SubAssign for Moves {
    fn sub_assign(&mut self, other: Self) {
        self.new -= other.new;
        self.reactivation -= other.reactivation;
        self.expansion -= other.expansion;
        self.contraction -= other.contraction;
        self.churn -= other.churn;
        self.converted -= other.converted;
        self.lost -= other.lost;
    }
}

impl Flow {
    /// What each pays in a month, on average.
    pub fn average(&self) -> Option<Money> {
        let customers = i128::from(self.customers);
        (customers > 0).then(|| money(self.yearly).scaled(1, customers.saturating_mul(12)))
    }

    /// The amount by the month.
    pub fn monthly(&self) -> Money {
        per_month(self.yearly)
    }

    /// One tenant.
    const fn one(yearly: i128) -> Self {
        Self { yearly, customers: 1 }
    }

    const fn less(self, other: Self) -> Self {
        Self { yearly: self.yearly - other.yearly, customers: self.customers - other.customers }
    }
}

impl Moves {
    /// How one tenant has moved in a month.
    pub fn of(moved: Moved) -> Self {
        let mut moves =
            Self { converted: (moved.trial == Some(true)).into(), lost: (moved.trial == Some(false)).into(), ..Self::default() };
        let (before, after) = (i128::from(moved.at_first.0), i128::from(moved.yearly.0));
        match (before, after) {
            (0, 0) => {}
            (0, _) if moved.had_paid => moves.reactivation = Flow::one(after),
            (0, _) => moves.new = Flow::one(after),
            (_, 0) => moves.churn = Flow::one(before),
            _ if after > before => moves.expansion = Flow::one(after - before),
            _ if after < before => moves.contraction = Flow::one(before - after),
            _ => {}
        }
        moves
    }

    /// What has come, less what has gone.
    pub const fn net(&self) -> Flow {
        let (new, back, gone) = (self.new, self.reactivation, self.churn);
        Flow {
            yearly: new.yearly + back.yearly + self.expansion.yearly - self.contraction.yearly - gone.yearly,
            customers: new.customers + back.customers - gone.customers,
        }
    }

    /// Converted ÷ ended trials.
    pub fn conversion_rate(&self) -> Option<f64> {
        share(i128::from(self.converted), i128::from(self.converted) + i128::from(self.lost))
    }
}

impl Account {
    /// A month that moved so, with what tenants pay now, and what has moved since its end.
    pub const fn of(now: Flow, moves: Moves, since: Flow) -> Self {
        let ended = now.less(since);
        Self { begun: ended.less(moves.net()), ended, moves }
    }

    /// Customers lost ÷ customers at the beginning.
    pub fn churn_rate(&self) -> Option<f64> {
        share(i128::from(self.moves.churn.customers), i128::from(self.begun.customers))
    }

    /// What was lost of the revenue at the beginning: by customers that left, and by those that pay less.
    pub fn revenue_churn_rate(&self) -> Option<f64> {
        share(self.moves.churn.yearly + self.moves.contraction.yearly, self.begun.yearly)
    }

    /// What the customers of the beginning pay at the end ÷ what they paid then.
    pub fn net_revenue_retention(&self) -> Option<f64> {
        let kept = self.begun.yearly + self.moves.expansion.yearly - self.moves.contraction.yearly - self.moves.churn.yearly;
        share(kept, self.begun.yearly)
    }
}

/// A ratio to six decimals; none of nothing.
fn share(part: i128, whole: i128) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn seen(month: &str, yearly: i64) -> Seen {
        Seen { month: month.parse().unwrap(), yearly: Money(yearly), trial: None }
    }

    /// The figures after each of these steps; one record a month is kept, as the store does.
    fn after(steps: &[Seen]) -> Vec<Revenue> {
        let mut records: Vec<Revenue> = Vec::new();
        let mut known = None;
        for step in steps {
            let Some(revenue) = figures(known.as_ref(), *step) else { continue };
            records.retain(|record| record.month != revenue.month);
            known = Some(revenue.clone());
            records.push(revenue);
        }
        records
    }

    fn moves(records: &[Revenue], month: &str) -> Moves {
        let mut moves = Moves::default();
        records.iter().filter(|record| record.month == month).for_each(|record| moves += Moves::of(record.into()));
        moves
    }

    #[test]
    fn a_month_compares_its_beginning_with_its_end() {
        let steps = [seen("2026-10", 1200), seen("2026-11", 2400), seen("2026-11", 600), seen("2026-11", 0), seen("2026-11", 1800)];
        let records = after(&steps);
        assert_eq!(moves(&records, "2026-10"), Moves { new: Flow { yearly: 1200, customers: 1 }, ..Moves::default() });
        assert_eq!(moves(&records, "2026-11"), Moves { expansion: Flow { yearly: 600, customers: 1 }, ..Moves::default() });
        assert_eq!(figures(records.last(), seen("2026-12", 1800)), None, "nothing moves by itself");
    }

    #[test]
    fn who_paid_before_is_reactivated_also_after_a_month_that_began_and_ended_with_nothing() {
        let records = after(&[seen("2026-09", 1200), seen("2026-09", 0), seen("2026-11", 600)]);
        assert_eq!(moves(&records, "2026-09"), Moves::default());
        assert_eq!(moves(&records, "2026-11"), Moves { reactivation: Flow { yearly: 600, customers: 1 }, ..Moves::default() });
    }

    #[test]
    fn a_step_that_comes_late_does_not_change_a_month_before_the_last_one() {
        let records = after(&[seen("2026-10", 1200), seen("2026-12", 2400), seen("2026-11", 0)]);
        assert_eq!(moves(&records, "2026-11"), Moves::default());
        assert_eq!(moves(&records, "2026-12").churn, Flow { yearly: 1200, customers: 1 });
    }

    #[test]
    fn the_last_outcome_of_a_trial_in_a_month_counts() {
        let ends = |month, yearly, outcome| Seen { trial: Some(outcome), ..seen(month, yearly) };
        let records =
            after(&[ends("2026-11", 0, Some(false)), ends("2026-11", 0, None), ends("2026-11", 1200, Some(true)), seen("2026-12", 2400)]);
        let november = moves(&records, "2026-11");
        assert_eq!((november.converted, november.lost, november.new.customers), (1, 0, 1));
        let december = moves(&records, "2026-12");
        assert_eq!((december.converted, december.expansion.yearly), (0, 1200), "it converts once");
    }

    #[test]
    fn rates_are_of_what_was_there_at_the_beginning() {
        let flow = |yearly, customers| Flow { yearly, customers };
        let moves = Moves {
            new: flow(2400, 1),
            expansion: flow(600, 1),
            contraction: flow(300, 1),
            churn: flow(1200, 1),
            converted: 1,
            lost: 2,
            ..Moves::default()
        };
        let account = Account::of(flow(7500 + 500, 5 + 1), moves, flow(500, 1));
        assert_eq!((account.begun, account.ended), (flow(6000, 5), flow(7500, 5)));
        assert_eq!(
            (account.churn_rate(), account.revenue_churn_rate(), account.net_revenue_retention()),
            (Some(0.2), Some(0.25), Some(0.85))
        );
        assert_eq!(moves.conversion_rate(), Some(0.333333));
        assert_eq!(account.ended.average(), Some(Money(125)));
        let nothing = Account::of(Flow::default(), Moves::default(), Flow::default());
        assert_eq!((nothing.churn_rate(), nothing.net_revenue_retention(), nothing.ended.average()), (None, None, None));
    }

    #[test]
    fn a_twelfth_is_rounded_once_on_the_sum() {
        assert_eq!((per_month(99_00), per_month(5), per_month(6), per_month(3 * 9_999)), (Money(825), Money(0), Money(1), Money(2500)));
        assert_eq!(money(i128::from(i64::MAX) + 1), Money(i64::MAX));
    }
}
