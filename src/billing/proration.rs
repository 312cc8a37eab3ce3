//! Proration: the rest of a period is credited at the old price and charged at the new one, two lines, each rounded once:
//! price × quantity × what is left ÷ the whole period.

use crate::config::Proration;
use crate::model::invoice::TimeUnit;
use crate::model::running::Item;
use crate::model::{Inputs, Line, LineKind, Millis, Span};

/// How much of a period is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Units of time.
    pub left: i64,
    /// Of so many; at least 1.
    pub whole: i64,
    /// Which.
    pub unit: TimeUnit,
}

/// What is left of a period at a moment in it. By day: the difference of UTC dates; by second: of whole seconds.
pub fn share(period: Span, at: Millis, proration: Proration) -> Share {
    let (of, unit): (fn(Millis) -> i64, _) = match proration {
        Proration::Day => (|moment| i64::from(moment.day().0), TimeUnit::Days),
        Proration::Second => (|moment| moment.0.div_euclid(1000), TimeUnit::Seconds),
    };
    let whole = (of(period.end) - of(period.start)).max(1);
    Share { left: (of(period.end) - of(at)).clamp(0, whole), whole, unit }
}

/// What was paid for and will not be used.
pub fn unused(item: &Item, share: Share, rest: Span) -> Line {
    line(item, share, rest, true)
}

/// What will be used of a period that has begun.
pub fn remaining(item: &Item, share: Share, rest: Span) -> Line {
    line(item, share, rest, false)
}

fn line(item: &Item, share: Share, rest: Span, is_credit: bool) -> Line {
    let Share { left, whole, unit } = share;
    let full = item.price.times(item.quantity).scaled(i128::from(left), i128::from(whole));
    let amount = if is_credit { -full } else { full };
    let words = match unit {
        TimeUnit::Days => "days",
        TimeUnit::Seconds => "seconds",
    };
    let what = if is_credit { "unused" } else { "remaining" };
    let many = if item.quantity == 1 { String::new() } else { format!(" × {}", item.quantity) };
    Line {
        kind: LineKind::Proration,
        description: format!("{}{many} - {what} {left} of {whole} {words}", item.title),
        quantity: 1,
        unit_price: amount,
        amount,
        period: Some(rest),
        inputs: Inputs::Proration { price: item.price, quantity: item.quantity, of: item.of.clone(), left, whole, unit, is_credit },
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::Money;

    fn at(text: &str) -> Millis {
        Millis(text.parse::<Timestamp>().unwrap_or_default().as_millisecond())
    }

    fn item(price: i64) -> Item {
        Item { of: "x v1".to_owned(), title: "X Plan".to_owned(), price: Money(price), quantity: 1, is_plan: true }
    }

    #[test]
    fn the_rest_of_a_period_is_credited_and_charged() {
        // Start, change and end of the period; old and new price; credit, charge and their sum in minor units.
        let cases = [
            ("2026-10-15T00:00:00Z", "2026-10-31T12:00:00Z", "2026-11-15T00:00:00Z", 2900, 9900, -1403, 4790, 3387),
            ("2026-10-15T00:00:00Z", "2026-10-15T00:00:00Z", "2026-11-15T00:00:00Z", 2900, 9900, -2900, 9900, 7000),
            ("2026-10-15T08:00:00Z", "2026-11-15T07:00:00Z", "2026-11-15T08:00:00Z", 2900, 9900, 0, 0, 0),
            ("2026-02-01T00:00:00Z", "2026-02-15T23:59:59Z", "2026-03-01T00:00:00Z", 9900, 49900, -4950, 24950, 20000),
            ("2028-02-01T00:00:00Z", "2028-02-15T00:00:00Z", "2028-03-01T00:00:00Z", 2900, 9900, -1500, 5121, 3621),
            ("2026-03-01T00:00:00Z", "2026-08-31T00:00:00Z", "2027-03-01T00:00:00Z", 29000, 99000, -14460, 49364, 34904),
        ];
        for (start, change, end, old, new, credit, charge, sum) in cases {
            let period = Span { start: at(start), end: at(end) };
            let share = share(period, at(change), Proration::Day);
            let lines = [unused(&item(old), share, period), remaining(&item(new), share, period)];
            assert_eq!(lines.each_ref().map(|line| line.amount.0), [credit, charge], "{start} {change}");
            assert_eq!(lines[0].amount + lines[1].amount, Money(sum));
            assert!(lines.iter().all(|line| line.kind == LineKind::Proration && line.unit_price == line.amount));
        }
    }

    #[test]
    fn by_second_half_a_period_is_half_its_price() {
        let period = Span { start: at("2026-04-01T00:00:00Z"), end: at("2026-05-01T00:00:00Z") };
        let share = share(period, at("2026-04-16T00:00:00Z"), Proration::Second);
        assert_eq!((share.left, share.whole), (15 * 86_400, 30 * 86_400));
        assert_eq!(remaining(&item(2901), share, period).amount, Money(1451), "14.505 is rounded away from zero");
    }
}
