//! Periods: the nth begins n months (or years) after the anchor. They are never stepped from one to the next, so that an anchor on
//! the 31st keeps it: 31 January → 28 February → 31 March.

use jiff::{Timestamp, ToSpan, tz::TimeZone};

use crate::model::{BillingCycle, Millis, Span};

/// The period with this index, from 0. Days that a month does not have become its last one; the time of day stays.
pub fn period(anchor: Millis, cycle: BillingCycle, index: u32) -> Span {
    Span { start: begin(anchor, cycle, index), end: begin(anchor, cycle, index.saturating_add(1)) }
}

fn begin(anchor: Millis, cycle: BillingCycle, index: u32) -> Millis {
    let months = i64::from(index).saturating_mul(i64::from(cycle.months()));
    let later = || {
        let anchor = TimeZone::UTC.to_datetime(Timestamp::from_millisecond(anchor.0).ok()?);
        let later = anchor.checked_add(i32::try_from(months).ok()?.months()).ok()?;
        Some(Millis(TimeZone::UTC.to_timestamp(later).ok()?.as_millisecond()))
    };
    // The calendar ends with the year 9999.
    later().unwrap_or(Millis(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        Millis(text.parse::<Timestamp>().unwrap_or_default().as_millisecond())
    }

    #[test]
    fn anchors_at_the_end_of_a_month_hold() {
        let cases = [
            ("2026-01-31T09:30:00.123Z", BillingCycle::Monthly, 1, "2026-02-28T09:30:00.123Z"),
            ("2026-01-31T09:30:00.123Z", BillingCycle::Monthly, 2, "2026-03-31T09:30:00.123Z"),
            ("2026-01-31T00:00:00Z", BillingCycle::Monthly, 3, "2026-04-30T00:00:00Z"),
            ("2027-12-30T23:59:59.999Z", BillingCycle::Monthly, 2, "2028-02-29T23:59:59.999Z"),
            ("2026-11-15T12:00:00Z", BillingCycle::Monthly, 2, "2027-01-15T12:00:00Z"),
            ("2028-02-29T01:00:00Z", BillingCycle::Yearly, 1, "2029-02-28T01:00:00Z"),
            ("2028-02-29T01:00:00Z", BillingCycle::Yearly, 4, "2032-02-29T01:00:00Z"),
        ];
        for (anchor, cycle, index, expected) in cases {
            assert_eq!(period(at(anchor), cycle, index).start, at(expected), "{anchor} + {index}");
            assert_eq!(period(at(anchor), cycle, index - 1).end, at(expected), "{anchor} + {index}");
        }
    }
}
