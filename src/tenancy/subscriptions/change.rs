//! Changes of a subscription: more per month comes now and is charged for the rest of the period, less comes with the next period, and
//! another cycle credits the rest and begins anew; of a suspended tenant, with the period that it begins next. The preview and the change
//! are the same computation.

use aws_lc_rs::digest;
use serde_json::json;

use super::charged::{charged, instead_of};
use super::metered::Metered;
use super::period::{begin, first, go_on, plan_of, usage_before};
use super::work::Work;
use crate::billing::invoicing::{Reckoned, reckon, whole};
use crate::billing::items::{costs_less, is_billed, items};
use crate::billing::proration::{remaining, share, unused};
use crate::model::invoice::InvoiceReason;
use crate::model::running::{Item, Part};
use crate::model::subscription::Awaiting;
use crate::model::{Gauge, Limits, Line, Millis, Money, Over, Overrides, Running, Span, Status, Terms, Usage, hex};
use crate::tenancy::TenancyError;
use crate::tenancy::states::Move;

/// When a change takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At once.
    Now,
    /// When the running period is over.
    PeriodEnd(Millis),
}

/// What a change comes to.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What will be paid for.
    pub terms: Terms,
    /// From when on.
    pub when: When,
    /// What is charged for it at once.
    pub reckoned: Reckoned,
    /// What the lines add up to before credit is used; negative where something becomes due to the tenant.
    pub sum: Money,
    /// Names what was asked for and of what state: a quote holds for nothing else.
    pub digest: String,
}

impl Planned {
    /// What is charged, or (negative) becomes due to the tenant.
    pub fn total(&self) -> Money {
        if self.reckoned.total.is_zero() { self.sum.min(Money(0)) } else { self.reckoned.total }
    }

    /// The lines of `total`.
    pub fn lines(&self) -> &[Line] {
        let all = self.reckoned.lines.as_slice();
        match all.split_last() {
            Some((last, others)) if self.total().0 < 0 && last.kind == crate::model::LineKind::Credit => others,
            _ => all,
        }
    }
}

/// What leads to terms, and when: computed as of `at`, put into `work`. Nothing is charged in a trial.
pub fn plan_change(work: &mut Work<'_>, terms: Terms, at: Millis, metered: &Metered) -> Result<Planned, TenancyError> {
    let before = work.tenant.terms();
    let digest = digest_of(work, &terms);
    refuse_where_impossible(work)?;
    let nothing = |when| Planned {
        terms: terms.clone(),
        when,
        reckoned: Reckoned { lines: Vec::new(), total: Money(0), credit: work.tenant.subscription.credit, note: None },
        sum: Money(0),
        digest: digest.clone(),
    };
    if terms == before {
        let planned = nothing(When::Now);
        if work.tenant.subscription.pending.take().is_some() {
            work.note("subscription.changed", None, Some(json!({"pendingChange": null})));
        }
        return Ok(planned);
    }
    let (old, new) = (plan_of(work, &before)?, plan_of(work, &terms)?);
    let running = work.tenant.subscription.period.clone().filter(|period| period.span.end > at);
    let is_served = matches!(work.tenant.status, Status::Active | Status::PastDue);
    // Who is suspended begins no period, so that another cycle waits for one.
    let begins_none = !is_served && terms.billing_cycle != before.billing_cycle;
    match running {
        Some(period) if begins_none || costs_less((&terms, &new), (&before, &old)) => {
            let planned = nothing(When::PeriodEnd(period.span.end));
            let at_once = raised(&before, &terms, &old.limits);
            if at_once != before {
                adopt(work, at_once);
            }
            work.note("subscription.changed", None, Some(json!({"pendingChange": facts(&terms), "effectiveAt": period.span.end})));
            work.tenant.subscription.pending = Some(terms);
            Ok(planned)
        }
        Some(period) => {
            let planned = nothing(When::Now);
            change_now(work, planned, (&period, at), metered)
        }
        None => {
            let planned = nothing(When::Now);
            adopt(work, terms.clone());
            let is_free = !is_billed(&terms, &new);
            if is_free {
                no_trial(work, at);
            }
            if work.tenant.status == Status::Trial && is_free {
                work.move_by(Move::TrialNotNeeded, Some("the plan has no price".to_owned()))?;
            } else if is_served {
                return begin_now(work, planned, at, metered);
            }
            Ok(planned)
        }
    }
}

/// There is nothing to try any more, nor an end to which it could be canceled.
fn no_trial(work: &mut Work<'_>, at: Millis) {
    work.tenant.trial_ends_at = work.tenant.trial_ends_at.map(|end| end.min(at));
    if std::mem::take(&mut work.tenant.subscription.cancel_at_period_end) {
        work.note("tenant.cancel_withdrawn", None, Some(json!({"cancelAtPeriodEnd": false})));
    }
}

/// From free to paid: the first period and its whole invoice start now.
fn begin_now(work: &mut Work<'_>, planned: Planned, at: Millis, metered: &Metered) -> Result<Planned, TenancyError> {
    let plan = plan_of(work, &planned.terms)?;
    let span = first(&planned.terms, &plan, at, metered).span;
    let lines: Vec<Line> = match is_billed(&planned.terms, &plan) {
        true => items(&planned.terms, &plan).iter().map(|item| whole(item, planned.terms.billing_cycle, span)).collect(),
        false => Vec::new(),
    };
    let planned = reckoned(work, planned, lines);
    begin(work, at, metered)?;
    Ok(planned)
}

/// In the middle of a period.
fn change_now(work: &mut Work<'_>, planned: Planned, (period, at): (&Running, Millis), metered: &Metered) -> Result<Planned, TenancyError> {
    let before = work.tenant.terms();
    let (old_plan, new_plan) = (plan_of(work, &before)?, plan_of(work, &planned.terms)?);
    let (old, new) = (items(&before, &old_plan), items(&planned.terms, &new_plan));
    let re_anchors = before.billing_cycle != planned.terms.billing_cycle;
    let share = share(period.span, at, work.desk.config.billing.proration);
    let rest = Span { start: at, end: period.span.end };
    let differ =
        |one: &[Item], other: &[Item]| -> Vec<Item> { one.iter().filter(|item| re_anchors || !other.contains(item)).cloned().collect() };
    let paid_for: Vec<Item> = differ(&old, &new).iter().flat_map(|item| charged(item, &period.uncharged)).collect();
    let mut lines: Vec<Line> = paid_for.iter().map(|item| unused(item, share, rest)).collect();
    let counted = if old_plan.bills_usage() || new_plan.bills_usage() { metered.by_now(at.day()) } else { Over::default() };
    let part = Part::of(&new_plan, at, counted);
    let mut after = work.tenant.subscription.clone();
    let span = if re_anchors {
        let mut next = first(&planned.terms, &new_plan, at, metered);
        lines.extend(new.iter().map(|item| whole(item, planned.terms.billing_cycle, next.span)));
        let (used, carried) = usage_before(work, metered, at);
        lines.extend(used);
        after.rated = work.tenant.subscription.rated.clone();
        work.tenant.subscription = after.clone();
        // What today has counted so far is billed by the old plan.
        next.parts = go_on(carried, &new_plan, at, metered);
        after.period = Some(next.clone());
        next.span
    } else {
        lines.extend(differ(&new, &old).iter().map(|item| remaining(item, share, rest)));
        if let Some(running) = &mut after.period {
            running.uncharged.retain(|one| new.contains(&one.item));
            if lines.iter().map(|line| line.amount).sum::<Money>().is_zero() {
                // No invoice tells of it.
                let came = differ(&new, &old).into_iter().map(|item| (item, Vec::new())).collect();
                running.uncharged.extend(instead_of(came, paid_for));
            }
            if (&old_plan.name, old_plan.version) != (&part.plan, part.plan_version) {
                running.parts.push(part);
            }
        }
        period.span
    };
    if let Some(running) = after.period.as_mut().filter(|_| re_anchors || old_plan.name != new_plan.name) {
        running.taxed = Some(work.tax_rule());
    }
    lines.retain(|line| !line.amount.is_zero());
    let planned = reckoned(work, planned, lines.clone());
    // Who collects, collects first; a change that costs nothing needs no payment.
    let waits = work.collects() && !planned.reckoned.total.is_zero();
    let invoice = work.issue(lines, InvoiceReason::Change, Some(span), at)?;
    match invoice.filter(|_| waits) {
        Some(invoice) => {
            let awaiting = Awaiting { invoice, terms: planned.terms.clone(), period: after.period, rated: after.rated };
            work.tenant.subscription.awaiting = Some(awaiting);
        }
        None => {
            adopt(work, planned.terms.clone());
            (work.tenant.subscription.period, work.tenant.subscription.rated) = (after.period, after.rated);
        }
    }
    Ok(planned)
}

fn reckoned(work: &Work<'_>, planned: Planned, lines: Vec<Line>) -> Planned {
    let credit = work.tenant.subscription.credit;
    let customer = work.customer();
    let reckoned = reckon(lines, (credit, work.desk.chargeable.unit), &work.taxes(&customer, InvoiceReason::Change));
    let sum = reckoned.total + credit - reckoned.credit;
    Planned { sum, reckoned, ..planned }
}

fn refuse_where_impossible(work: &Work<'_>) -> Result<(), TenancyError> {
    let refuse = |hint| Err(TenancyError::Transition { from: work.tenant.status, verb: "moved to another plan", hint });
    match work.tenant.status {
        Status::Deleted => refuse("; restore it first"),
        Status::Canceled => refuse("; activate it first"),
        _ if work.tenant.subscription.awaiting.is_some() => refuse(" while another change waits for its payment"),
        _ => Ok(()),
    }
}

/// The tenant comes to other terms. What was to change at the end of the period is not wanted any more.
pub(super) fn adopt(work: &mut Work<'_>, terms: Terms) {
    let (mut before, mut after) = (facts(&work.tenant.terms()), facts(&terms));
    if let Some(undone) = work.tenant.subscription.pending.take() {
        (before["pendingChange"], after["pendingChange"]) = (facts(&undone), serde_json::Value::Null);
    }
    work.note("subscription.changed", Some(before), Some(after));
    work.tenant.set_terms(terms);
}

/// `before` with those limits that are raised in `terms`: they hold at once, though a lower price waits, and lower limits with it. Of
/// another plan and of other add-ons they come with those.
fn raised(before: &Terms, terms: &Terms, plan: &Limits) -> Terms {
    let limits_of = |terms: &Terms| terms.overrides.unwrap_or_default().limits;
    let limits = limits_of(before).raised_to(&limits_of(terms), plan);
    let overrides = Some(Overrides { limits, ..before.overrides.unwrap_or_default() }).filter(|it| *it != Overrides::default());
    match (Terms { overrides, ..before.clone() }, Terms { overrides, ..terms.clone() }) {
        (at_once, wanted) if at_once == wanted => at_once,
        _ => before.clone(),
    }
}

/// What audit rows and events tell of terms.
fn facts(terms: &Terms) -> serde_json::Value {
    let add_ons: Vec<_> = terms.add_ons.iter().map(|bought| json!({"name": bought.add_on.name, "quantity": bought.quantity})).collect();
    json!({
        "plan": terms.plan, "planVersion": terms.plan_version, "billingCycle": terms.billing_cycle, "addOns": add_ons,
        "overrides": terms.overrides,
    })
}

/// A digest of what is to change and into what.
fn digest_of(work: &Work<'_>, terms: &Terms) -> String {
    let tenant = &work.tenant;
    let state = json!([tenant.status, tenant.terms(), tenant.subscription, tenant.billing, terms]);
    hex(digest::digest(&digest::SHA256, state.to_string().as_bytes()).as_ref())
}

/// What is used beyond these limits: resource, limit and use.
pub fn exceeded(limits: &Limits, usage: &Usage) -> Vec<(&'static str, u64, u64)> {
    let counters = [("apiCalls", limits.max_api_calls, usage.today.metered), ("bandwidth", limits.max_bandwidth, usage.month.egress)];
    let gauges = Gauge::ALL.map(|gauge| (gauge.name(), limits.of(gauge), usage.levels.get(gauge)));
    let all = counters.into_iter().chain(gauges);
    all.filter_map(|(resource, limit, used)| limit.filter(|limit| used > *limit).map(|limit| (resource, limit, used))).collect()
}
