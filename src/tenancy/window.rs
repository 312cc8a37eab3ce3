//! A tenant's usage window: today's journal slot and what was used before it, so that limits need no store.
//!
//! The window moves forward only, from one UTC day to a later one; the day a call was admitted decides its slot.

use std::sync::OnceLock;

use crate::metering::{Journal, Slot, SlotUnavailable};
use crate::model::{Day, TenantId, Totals};
use crate::store::UsageRow;

/// One day of one tenant.
pub struct DayWindow {
    day: Day,
    /// Today's counters of earlier processes; the places they took stay taken.
    today_before: Totals,
    /// The month's counters up to the previous slot, today's earlier processes included.
    month_before: Totals,
    /// The slot used before this one in the same month; late bytes may still reach it.
    previous: Option<Slot>,
    slot: OnceLock<Slot>,
}

impl DayWindow {
    /// The window of `day` for a tenant of which `rows` were stored by earlier processes.
    pub fn starting(day: Day, rows: &[UsageRow]) -> Self {
        let month = day.month();
        let mut month_before = Totals::default();
        let mut today_before = Totals::default();
        for row in rows.iter().filter(|row| row.day.month() == month) {
            month_before.add(&row.totals);
            if row.day == day {
                today_before.add(&row.totals);
            }
        }
        Self { day, today_before, month_before, previous: None, slot: OnceLock::new() }
    }

    /// The window that follows on a later day.
    pub fn rolled_to(&self, day: Day) -> Self {
        let mut month_before = Totals::default();
        let mut previous = None;
        if day.month() == self.day.month() {
            month_before = self.month_before;
            if let Some(slot) = &self.previous {
                month_before.add(&slot.totals());
            }
            previous = self.slot.get().cloned();
        }
        Self { day, today_before: Totals::default(), month_before, previous, slot: OnceLock::new() }
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
        self.today_before.taken()
    }

    /// Calls that hold a place today.
    pub fn calls_today(&self) -> u64 {
        self.calls_before() + self.slot.get().map_or(0, |slot| slot.totals().taken())
    }

    /// Body octets handed to clients this month.
    pub fn egress_this_month(&self) -> u64 {
        let recent = [self.previous.as_ref(), self.slot.get()];
        self.month_before.egress + recent.into_iter().flatten().map(Slot::egress).sum::<u64>()
    }

    /// All counters of the day.
    pub fn today(&self) -> Totals {
        let mut sum = self.today_before;
        if let Some(slot) = self.slot.get() {
            sum.add(&slot.totals());
        }
        sum
    }

    /// All counters of the month.
    pub fn month(&self) -> Totals {
        let mut sum = self.month_before;
        for slot in [self.previous.as_ref(), self.slot.get()].into_iter().flatten() {
            sum.add(&slot.totals());
        }
        sum
    }
}
