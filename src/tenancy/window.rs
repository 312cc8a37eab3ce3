//! A tenant's usage window: today's journal slot and what was used before it, so that limits need no store.
//!
//! The window moves forward only, from one UTC day to a later one; the day a call was admitted decides its slot. A clock that
//! goes back stays on the later day, and one that was ahead before a restart finds what was spent on those days.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::metering::{Journal, Slot, SlotUnavailable};
use crate::model::{Day, TenantId, Totals};
use crate::store::UsageRow;

/// One day of one tenant.
pub struct DayWindow {
    day: Day,
    /// What was used before; tenants without usage have nothing.
    before: Option<Box<Before>>,
    /// The slot used before this one in the same month; late bytes may still reach it.
    previous: Option<Slot>,
    slot: OnceLock<Slot>,
}

/// What was used before a window's slot.
#[derive(Default, Clone)]
struct Before {
    /// Today's counters of earlier processes; the places they took stay taken.
    today: Totals,
    /// The month's counters up to the previous slot, all of earlier processes included.
    month: Totals,
    /// Days after this one that earlier processes have counted: their clock was ahead.
    later: BTreeMap<Day, Totals>,
}

impl DayWindow {
    /// The window of `day` for a tenant of which `rows` were stored by earlier processes.
    pub fn starting(day: Day, rows: &[UsageRow]) -> Self {
        let month = day.month();
        let mut before = Before::default();
        for row in rows {
            if row.day.month() == month {
                before.month.add(&row.totals);
            }
            if row.day == day {
                before.today.add(&row.totals);
            } else if row.day > day {
                before.later.entry(row.day).or_default().add(&row.totals);
            }
        }
        Self { day, before: before.if_any(), previous: None, slot: OnceLock::new() }
    }

    /// The window that follows on a later day.
    pub fn rolled_to(&self, day: Day) -> Self {
        let mut before = self.before.as_deref().cloned().unwrap_or_default();
        let mut previous = None;
        if day.month() == self.day.month() {
            if let Some(slot) = &self.previous {
                before.month.add(&slot.totals());
            }
            previous = self.slot.get().cloned();
        } else {
            before.month = Totals::default();
            before.later.iter().filter(|(later, _)| later.month() == day.month()).for_each(|(_, totals)| before.month.add(totals));
        }
        let mut later = before.later.split_off(&day);
        let today = later.remove(&day).unwrap_or_default();
        let before = Before { today, month: before.month, later };
        Self { day, before: before.if_any(), previous, slot: OnceLock::new() }
    }

    /// The day it counts.
    pub fn day(&self) -> Day {
        self.day
    }

    /// Today's slot, claimed by the first call of the day.
    pub fn slot(&self, journal: &Journal, tenant: TenantId) -> Result<&Slot, SlotUnavailable> {
        if let Some(slot) = self.slot.get() {
            return Ok(slot);
        }
        let claimed = journal.slot(tenant, self.day)?;
        Ok(self.slot.get_or_init(|| claimed))
    }

    /// Places that earlier processes took today.
    pub fn calls_before(&self) -> u64 {
        self.before.as_ref().map_or(0, |before| before.today.taken())
    }

    /// Calls that earlier processes metered today.
    pub fn metered_before(&self) -> u64 {
        self.before.as_ref().map_or(0, |before| before.today.metered)
    }

    /// Calls that hold a place today.
    pub fn calls_today(&self) -> u64 {
        self.calls_before() + self.slot.get().map_or(0, |slot| slot.totals().taken())
    }

    /// Body octets handed to clients this month before today's slot.
    pub fn egress_before(&self) -> u64 {
        self.before.as_ref().map_or(0, |before| before.month.egress) + self.previous.as_ref().map_or(0, Slot::egress)
    }

    /// Body octets handed to clients this month.
    pub fn egress_this_month(&self) -> u64 {
        self.egress_before() + self.slot.get().map_or(0, Slot::egress)
    }

    /// All counters of the day.
    pub fn today(&self) -> Totals {
        let mut sum = self.before.as_ref().map_or_else(Totals::default, |before| before.today);
        if let Some(slot) = self.slot.get() {
            sum.add(&slot.totals());
        }
        sum
    }

    /// All counters of the month.
    pub fn month(&self) -> Totals {
        let mut sum = self.before.as_ref().map_or_else(Totals::default, |before| before.month);
        for slot in [self.previous.as_ref(), self.slot.get()].into_iter().flatten() {
            sum.add(&slot.totals());
        }
        sum
    }
}

impl Before {
    /// Nothing is kept of nothing.
    fn if_any(self) -> Option<Box<Self>> {
        let is_nothing = self.month == Totals::default() && self.today == Totals::default() && self.later.is_empty();
        (!is_nothing).then(|| Box::new(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONTH_END: Day = Day(20_787);

    fn row(day: Day, admitted: u64) -> UsageRow {
        let totals = Totals { admitted, metered: admitted, egress: admitted * 10, ..Totals::default() };
        UsageRow { writer: 1, tenant: TenantId::from_bytes([1; 16]), day, totals }
    }

    #[test]
    fn days_that_a_clock_was_ahead_on_are_spent_when_they_come() {
        assert_eq!(MONTH_END.to_string(), "2026-11-30");
        let (next, after) = (MONTH_END.next(), MONTH_END.next().next());
        let window = DayWindow::starting(MONTH_END, &[row(Day(MONTH_END.0 - 3), 5), row(MONTH_END, 7), row(next, 11), row(after, 13)]);
        assert_eq!((window.calls_before(), window.egress_before()), (7, 120), "of November");
        let window = window.rolled_to(next);
        assert_eq!((window.calls_before(), window.metered_before(), window.egress_before()), (11, 11, 240), "all that December has");
        let window = window.rolled_to(after);
        assert_eq!((window.calls_before(), window.egress_before()), (13, 240));
        let window = window.rolled_to(Day(after.0 + 1));
        assert_eq!((window.calls_before(), window.egress_before()), (0, 240));
        let window = window.rolled_to(Day(after.0 + 40));
        assert_eq!((window.calls_before(), window.egress_before()), (0, 0));
        assert!(window.before.is_none());
    }

    #[test]
    fn days_that_are_left_out_count_for_their_month() {
        let window = DayWindow::starting(MONTH_END, &[row(MONTH_END.next(), 3)]);
        let window = window.rolled_to(Day(MONTH_END.0 + 5));
        assert_eq!((window.calls_before(), window.egress_before()), (0, 30), "the 1st is over, but its octets are the month's");
    }
}
