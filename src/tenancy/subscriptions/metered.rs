//! Usage beyond limits, as it becomes lines of invoices. A UTC day belongs to the period in which it ends, and a month's storage to
//! the period in which the month ends: so that both are over when they are billed. What came later is billed with the next invoice.
//! Each plan bills what was first beyond a limit under it: of a month's storage, by how much its most has risen.

use std::collections::BTreeMap;

use crate::billing::items::of_plan;
use crate::billing::rating::{Beyond, line};
use crate::model::running::{Part, Rated};
use crate::model::{Day, Line, Millis, Month, Over, Overage, Plan, Running, Span, Tenant, Terms};
use crate::store::StoreError;
use crate::tenancy::Plans;
use crate::tenancy::usage::UsageReader;

/// Usage beyond limits, of all days and months that a tenant's next step can need.
#[derive(Debug, Clone, Default)]
pub struct Metered {
    days: BTreeMap<Day, Over>,
    months: BTreeMap<Month, u64>,
    /// What is stored now.
    level: u64,
    /// What of this month's storage was billed before.
    early: u64,
}

/// Up to when a period is billed: all days before `day`, and so much of it; all months that end before `months`, and `rest`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Until {
    day: Day,
    counted: Over,
    /// Months that end before it are billed.
    months: Day,
    /// A month that is not over.
    pub(super) rest: Option<Month>,
}

impl Until {
    /// Another period follows, to which the whole day belongs.
    pub(super) fn day(day: Day) -> Self {
        Self { day, counted: Over::default(), months: day, rest: None }
    }

    /// Nothing follows: all that was used by `now` is billed, of a day and a month that go on as well.
    pub(super) fn end(period: &Running, metered: &Metered, now: Millis) -> Self {
        let end = period.span.end;
        let (today, last) = (now.day(), end.day());
        let months = today.min(last);
        let month = Millis(now.0.min(end.0 - 1)).day().month();
        // Who comes back after it has used nothing of it since it left.
        let is_used = period.parts.last().is_some_and(|part| part.from < end);
        let rest = (is_used && month.end() > months).then_some(month);
        match today > last {
            true => Self { day: last.next(), counted: Over::default(), months, rest },
            false => Self { day: today, counted: metered.day(today), months, rest },
        }
    }
}

/// Parts of a period that is cut at the beginning of `day`: those that are billed with it, and those that go over into the next one,
/// which bills all of the day, and all that was stored in its month.
pub(super) fn cut(parts: &[Part], day: Day, at: Millis) -> (Vec<Part>, Vec<Part>) {
    let (before, same): (Vec<Part>, Vec<Part>) = parts.iter().cloned().partition(|part| part.from.day() < day);
    let stored = |part: &Part| if part.from.day().month() == day.month() { part.counted.storage } else { 0 };
    // With the plan with which the month began, those of it.
    let begins = before.iter().rposition(|part| part.from.day() < day.month().first()).unwrap_or(0);
    let go_on =
        before[begins..].iter().map(|part| Part { from: at, counted: Over { storage: stored(part), ..Over::default() }, ..part.clone() });
    let carried = go_on.chain(same).collect();
    (before, carried)
}

impl Metered {
    /// Reads what the tenant used; nothing where none of its plans bills usage.
    pub async fn read((tenant, terms): (&Tenant, &Terms), plans: &Plans, usage: &UsageReader, now: Millis) -> Result<Self, StoreError> {
        let subscription = &tenant.subscription;
        let rated = subscription.rated.as_ref();
        let parts = subscription.period.iter().flat_map(|period| &period.parts).chain(rated.iter().flat_map(|rated| &rated.parts));
        let bills = |plan: Option<std::sync::Arc<Plan>>| plan.is_some_and(|plan| plan.bills_usage());
        let of_parts = parts.map(|part| plans.version(&part.plan, part.plan_version));
        if !of_parts.chain([plans.of(&tenant.terms()), plans.of(terms)]).any(bills) {
            return Ok(Self::default());
        }
        let today = now.day();
        let begun = subscription.period.as_ref().map_or(today, |period| period.span.start.day());
        let from = rated.map_or(begun, |rated| rated.span.start.day().min(begun)).min(today);
        let mut metered = Self::default();
        let mut month = from.month();
        while month <= today.month() {
            for day in usage.days(tenant.id, month).await? {
                let over = Over { api_calls: day.totals.calls_over, bandwidth: day.totals.egress_over, storage: 0 };
                metered.days.insert(day.day, over);
            }
            let (over, level) = usage.stored(tenant.id, month, now).await?;
            (metered.level, metered.early) = (level, early(tenant, month));
            metered.months.insert(month, over.saturating_sub(metered.early));
            month = month.next();
        }
        Ok(metered)
    }

    /// What a day has counted.
    pub(super) fn day(&self, day: Day) -> Over {
        self.days.get(&day).copied().unwrap_or_default()
    }

    /// What was stored in a month and not billed before.
    pub(super) fn month(&self, month: Month) -> u64 {
        self.months.get(&month).copied().unwrap_or_default()
    }

    /// What a day has counted, and its month of storage.
    pub(super) fn by_now(&self, day: Day) -> Over {
        Over { storage: self.month(day.month()), ..self.day(day) }
    }

    /// The same where nothing of it is billed: but for storage that is there, which is billed from now on.
    pub(super) fn not_billed(&self, day: Day, included: Option<u64>) -> Over {
        let before = self.by_now(day);
        let is_there = included.map_or(0, |included| self.level.saturating_sub(included)).saturating_sub(self.early);
        Over { storage: before.storage.saturating_sub(is_there), ..before }
    }

    /// What was used in each part of a period.
    pub(super) fn by_part(&self, parts: &[Part], until: Until) -> Vec<Over> {
        let next = |index: usize| parts.get(index + 1).map_or((until.day, until.counted), |part| (part.from.day(), part.counted));
        let of = |(index, part): (usize, &Part)| {
            let (end, counted) = next(index);
            let whole = self.days.range(part.from.day()..end.max(part.from.day())).map(|(_, over)| *over);
            let sum = whole.fold(counted, |sum, over| Over {
                api_calls: sum.api_calls.saturating_add(over.api_calls),
                bandwidth: sum.bandwidth.saturating_add(over.bandwidth),
                storage: 0,
            });
            Over {
                api_calls: sum.api_calls.saturating_sub(part.counted.api_calls),
                bandwidth: sum.bandwidth.saturating_sub(part.counted.bandwidth),
                storage: self.stored(parts, index, until),
            }
        };
        parts.iter().enumerate().map(of).collect()
    }

    /// Storage of a part: of the months whose last day lies in the period, and of one that is not over, by how much their most has risen
    /// in it.
    fn stored(&self, parts: &[Part], index: usize, until: Until) -> u64 {
        let days = parts.first().map_or(until.months, |first| first.from.day())..until.months;
        let is_billed = |month: Month| days.contains(&Day(month.end().0 - 1)) || until.rest == Some(month);
        let by = |index: usize, month: Month, most: u64| match parts.get(index).map(|part| (part.from.day().month(), part.counted.storage))
        {
            Some((of, _)) if of < month => 0,
            Some((of, counted)) if of == month => counted.min(most),
            _ => most,
        };
        let months = self.months.iter().filter(|(month, _)| is_billed(**month));
        months.fold(0, |sum: u64, (month, most)| sum.saturating_add(by(index + 1, *month, *most).saturating_sub(by(index, *month, *most))))
    }

    /// What was used since a period was billed, as lines; the record of it follows.
    pub(super) fn late_lines(&self, rated: &Rated, plans: &Plans) -> Vec<Line> {
        let now = self.by_part(&rated.parts, Until::day(rated.span.end.day()));
        lines(&rated.parts, &now, Some(&rated.billed), rated.span, plans)
    }
}

/// What was billed of a month's storage before the month was over.
pub(super) fn early(tenant: &Tenant, month: Month) -> u64 {
    let early = tenant.subscription.stored_early.as_ref();
    early.filter(|early| early.month == month.to_string()).map_or(0, |early| early.storage)
}

/// Usage of the parts of a period as lines, less what was billed `before`.
pub(super) fn lines(parts: &[Part], used: &[Over], before: Option<&[Over]>, span: Span, plans: &Plans) -> Vec<Line> {
    let mut lines = Vec::new();
    for (index, (part, used)) in parts.iter().zip(used).enumerate() {
        let Some(plan) = plans.version(&part.plan, part.plan_version) else { continue };
        let Overage::Billed { api_calls, bandwidth, storage } = &plan.overage else { continue };
        let before = before.and_then(|before| before.get(index)).copied().unwrap_or_default();
        let end = parts.get(index + 1).map_or(span.end, |next| next.from);
        let period = Span { start: part.from, end: end.max(part.from) };
        let of = of_plan(&plan.name, plan.version);
        let resources = [
            ("apiCalls", used.api_calls, before.api_calls, api_calls),
            ("bandwidth", used.bandwidth, before.bandwidth, bandwidth),
            ("storage", used.storage, before.storage, storage),
        ];
        lines.extend(
            resources
                .into_iter()
                .filter_map(|(resource, used, before, price)| line(Beyond { resource, of: &of, used, before, period }, price.as_ref())),
        );
    }
    lines
}
