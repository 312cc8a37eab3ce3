//! Periods: one begins, goes over into the next, or ends. Each is invoiced in advance at its start, with the usage of the one before.

use serde_json::json;

use super::Desk;
use super::change::adopt;
use super::metered::{Metered, Until, cut, early, lines};
use super::work::Work;
use crate::billing::calendar::period;
use crate::billing::invoicing::whole;
use crate::billing::items::{is_billed, items};
use crate::config::TrialEnd;
use crate::model::invoice::InvoiceReason;
use crate::model::running::{Early, Part, Rated};
use crate::model::{Invoice, InvoiceStatus, Line, Millis, Over, Plan, Running, Span, Status, Tenant, Terms};
use crate::store::StoreError;
use crate::tenancy::states::Move;
use crate::tenancy::{Cause, TenancyError, Versioned};

/// Plan to which tenants move whose trial ends without a payment method, where the configuration says so.
const FREE: &str = "free";

/// The trial is over.
pub(super) fn end_trial(work: &mut Work<'_>, at: Millis, metered: &Metered) -> Result<(), TenancyError> {
    if std::mem::take(&mut work.tenant.subscription.cancel_at_period_end) {
        let reason = canceled_to_the_end(work, "trial");
        work.move_by(Move::CanceledToTheEnd, reason)?;
        return Ok(());
    }
    let has_method = work.tenant.subscription.payer.as_ref().is_some_and(|payer| payer.method.is_some());
    match work.desk.config.billing.trial_end {
        TrialEnd::Suspend if !has_method => {
            let reason = "the trial has ended, and there is no payment method";
            work.move_by(Move::TrialEndsUnpaid, Some(reason.to_owned()))?;
            return Ok(());
        }
        TrialEnd::Free if !has_method => {
            let before = json!({"plan": work.tenant.plan});
            let free = work.desk.plans.latest(FREE).ok_or_else(|| lost(FREE, 0))?;
            let terms =
                Terms { plan: FREE.to_owned(), plan_version: free.version, add_ons: Vec::new(), overrides: None, ..work.tenant.terms() };
            work.tenant.set_terms(terms);
            work.note("subscription.changed", Some(before), Some(json!({"plan": FREE, "reason": "trial_ended"})));
        }
        TrialEnd::Invoice | TrialEnd::Suspend | TrialEnd::Free => {}
    }
    work.move_by(Move::TrialEnds, Some("the trial has ended".to_owned()))?;
    begin(work, at, metered)
}

/// A first period begins, where there is anything to bill; what is left of one before it is billed with it.
pub(in crate::tenancy) fn begin(work: &mut Work<'_>, at: Millis, metered: &Metered) -> Result<(), TenancyError> {
    let mut invoice = last_usage(work, metered);
    if let Some(terms) = work.tenant.subscription.pending.take() {
        // It was to change with the period that is over by now.
        adopt(work, terms);
    }
    let terms = work.tenant.terms();
    let plan = plan_of(work, &terms)?;
    let running = is_billed(&terms, &plan).then(|| first(&terms, &plan, at, metered));
    if let Some(running) = &running {
        invoice.extend(items(&terms, &plan).iter().map(|item| whole(item, terms.billing_cycle, running.span)));
    }
    let span = running.as_ref().map(|running| running.span);
    work.tenant.subscription.period = running;
    work.issue(invoice, InvoiceReason::Period, span, at)?;
    Ok(())
}

/// The first period of these terms. What was used before is not billed.
pub(in crate::tenancy) fn first(terms: &Terms, plan: &Plan, at: Millis, metered: &Metered) -> Running {
    let counted = match plan.bills_usage() {
        true => metered.not_billed(at.day(), terms.applied_to(plan).storage_included()),
        false => Over::default(),
    };
    Running {
        anchor: at,
        index: 0,
        span: period(at, terms.billing_cycle, 0),
        parts: vec![Part::of(plan, at, counted)],
        taxed: None,
        uncharged: Vec::new(),
    }
}

/// The period is over: the next one begins, with what was to change then, or the subscription ends.
pub(super) fn renew(work: &mut Work<'_>, metered: &Metered) -> Result<(), TenancyError> {
    let Some(ended) = work.tenant.subscription.period.clone() else { return Ok(()) };
    let at = ended.span.end;
    if work.tenant.subscription.cancel_at_period_end {
        let invoice = last_usage(work, metered);
        let subscription = &mut work.tenant.subscription;
        (subscription.cancel_at_period_end, subscription.pending, subscription.period, subscription.rated) = (false, None, None, None);
        work.issue(invoice, InvoiceReason::End, None, at)?;
        let reason = canceled_to_the_end(work, "period");
        work.move_by(Move::CanceledToTheEnd, reason)?;
        return Ok(());
    }
    let before = work.tenant.terms();
    // A change whose payment is still under way is owed all the same.
    let waiting = work.tenant.subscription.awaiting.take().map(|awaiting| awaiting.terms);
    let terms = work.tenant.subscription.pending.take().or(waiting).unwrap_or_else(|| before.clone());
    let plan = plan_of(work, &terms)?;
    if terms != before {
        adopt(work, terms.clone());
    }
    let (mut invoice, carried) = match is_billed(&terms, &plan) {
        true => usage_before(work, metered, at),
        false => (last_usage(work, metered), Vec::new()),
    };
    let next = is_billed(&terms, &plan).then(|| {
        let same = terms.billing_cycle == before.billing_cycle;
        let (anchor, index) = if same { (ended.anchor, ended.index + 1) } else { (at, 0) };
        let parts = go_on(carried, &plan, at, metered);
        Running { anchor, index, span: period(anchor, terms.billing_cycle, index), parts, taxed: None, uncharged: Vec::new() }
    });
    if let Some(next) = &next {
        invoice.extend(items(&terms, &plan).iter().map(|item| whole(item, terms.billing_cycle, next.span)));
    }
    let span = next.as_ref().map(|next| next.span);
    work.tenant.subscription.period = next;
    if work.issue(invoice, InvoiceReason::Period, span, at)?.is_none() {
        // Else the invoice says it.
        work.note("subscription.renewed", None, Some(json!({"period": span})));
    }
    Ok(())
}

/// Why it ends, as the operator said when it was asked for.
fn canceled_to_the_end(work: &mut Work<'_>, of: &str) -> Option<String> {
    let why = work.tenant.subscription.cancel_reason.take();
    Some(why.map_or_else(|| format!("canceled to the end of the {of}"), |why| format!("canceled to the end of the {of}: {why}")))
}

/// The invoice of the next period, as it would be with what was used so far; none where there will be none.
pub fn upcoming_invoice(
    current: &Versioned<Tenant>,
    desk: Desk<'_>,
    metered: &Metered,
    cause: &Cause,
) -> Result<Option<Invoice>, TenancyError> {
    let mut work = Work::on(current, desk, cause);
    match work.tenant.status {
        Status::Trial => {
            let at = work.tenant.trial_ends_at.unwrap_or(cause.now);
            end_trial(&mut work, at, metered)?;
        }
        Status::Active | Status::PastDue => renew(&mut work, metered)?,
        Status::Suspended | Status::Canceled | Status::Deleted => {}
    }
    let draft = work.into_issued().pop().map(|mut invoice| {
        invoice.standing.status = InvoiceStatus::Draft;
        (invoice.standing.paid_at, invoice.standing.payment) = (None, None);
        invoice
    });
    Ok(draft)
}

/// The subscription ends in the middle of a period: what was used of it is billed, what was paid for it stays paid, and serves a
/// tenant that comes back before it is over. What was to happen then stays: it may be restored.
pub(in crate::tenancy) fn end_now(work: &mut Work<'_>, metered: &Metered) -> Result<(), TenancyError> {
    let now = work.cause.now;
    let invoice = last_usage(work, metered);
    work.tenant.subscription.rated = None;
    go_on_from(work, metered);
    work.issue(invoice, InvoiceReason::End, None, now)?;
    Ok(())
}

/// What was used of the running period until now is billed already, or nobody's.
pub(in crate::tenancy) fn go_on_from(work: &mut Work<'_>, metered: &Metered) {
    let now = work.cause.now;
    if let Some(period) = &mut work.tenant.subscription.period
        && let Some(last) = period.parts.pop()
    {
        period.parts = vec![Part { from: now, counted: metered.day(now.day()), ..last }];
    }
}

/// Whether a tenant that is to be served has no period, or one that is over, though it pays for one.
pub(in crate::tenancy) fn is_over(work: &Work<'_>) -> Result<bool, TenancyError> {
    let terms = work.tenant.terms();
    let running = work.tenant.subscription.period.as_ref();
    let is_over = running.is_none_or(|period| period.span.end <= work.cause.now);
    Ok(is_over && (running.is_some() || is_billed(&terms, &*plan_of(work, &terms)?)))
}

/// Lines of the usage of a period that another one follows at `at`, and the parts that go over into that one. What is billed now is
/// kept, for what comes late.
pub(super) fn usage_before(work: &mut Work<'_>, metered: &Metered, at: Millis) -> (Vec<Line>, Vec<Part>) {
    let plans = work.desk.plans;
    let mut found = late_usage(work, metered);
    let subscription = &mut work.tenant.subscription;
    let Some(period) = &subscription.period else { return (found, Vec::new()) };
    let span = Span { start: period.span.start, end: at };
    let (billed, carried) = cut(&period.parts, at.day(), at);
    let bills = |part: &Part| plans.version(&part.plan, part.plan_version).is_some_and(|plan| plan.bills_usage());
    if billed.iter().any(bills) {
        let used = metered.by_part(&billed, Until::day(at.day()));
        found.extend(lines(&billed, &used, None, span, plans));
        subscription.rated = Some(Rated { span, parts: billed, billed: used });
    }
    (found, carried)
}

/// Lines of the usage of a period that nothing follows, up to now.
fn last_usage(work: &mut Work<'_>, metered: &Metered) -> Vec<Line> {
    let mut found = late_usage(work, metered);
    if let Some(period) = &work.tenant.subscription.period {
        let until = Until::end(period, metered, work.cause.now);
        let used = metered.by_part(&period.parts, until);
        found.extend(lines(&period.parts, &used, None, period.span, work.desk.plans));
        if let Some(month) = until.rest {
            let storage = early(&work.tenant, month).saturating_add(metered.month(month));
            work.tenant.subscription.stored_early = (storage > 0).then(|| Early { month: month.to_string(), storage });
        }
    }
    found
}

/// What came late to the period before the one that runs.
fn late_usage(work: &mut Work<'_>, metered: &Metered) -> Vec<Line> {
    let rated = work.tenant.subscription.rated.take();
    rated.map(|rated| metered.late_lines(&rated, work.desk.plans)).unwrap_or_default()
}

/// The parts of a period that begins with those that go over into it; another plan begins a part of its own.
pub(super) fn go_on(mut carried: Vec<Part>, plan: &Plan, at: Millis, metered: &Metered) -> Vec<Part> {
    let mut counted = metered.by_now(at.day());
    if at == at.day().month().first().start() {
        // All of the month is the new plan's.
        counted.storage = 0;
    }
    match carried.last() {
        Some(last) if (&last.plan, last.plan_version) == (&plan.name, plan.version) => {}
        Some(_) => carried.push(Part::of(plan, at, counted)),
        None => carried.push(Part::of(plan, at, Over::default())),
    }
    carried
}

/// The plan of terms that a tenant has.
pub(super) fn plan_of(work: &Work<'_>, terms: &Terms) -> Result<std::sync::Arc<Plan>, TenancyError> {
    work.desk.plans.of(terms).ok_or_else(|| lost(&terms.plan, terms.plan_version))
}

fn lost(plan: &str, version: u32) -> TenancyError {
    TenancyError::Store(StoreError::Damaged(format!("the store has no version {version} of the plan `{plan}`; restore it from a backup")))
}
