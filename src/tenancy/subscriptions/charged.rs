//! What the rest of a period was charged for. Mostly what is agreed; less, where an invoice of the period was voided or credited whole:
//! no later change takes off what nobody was charged for.

use super::period::plan_of;
use super::work::Work;
use crate::billing::items::items;
use crate::model::running::{Item, Uncharged};
use crate::model::{Inputs, Invoice, InvoiceStatus, Issued, Line, Plan, Running, Span, Terms};
use crate::tenancy::{Plans, TenancyError};

/// What was charged for something that is agreed, for the rest of the period.
pub(super) fn charged(item: &Item, uncharged: &[Uncharged]) -> Option<Item> {
    match uncharged.iter().find(|one| one.item == *item) {
        Some(one) => one.instead.clone(),
        None => Some(item.clone()),
    }
}

/// An invoice charges nothing any more: neither does it for the period that runs, nor for one that begins when a payment has come.
pub(super) fn uncharge(work: &mut Work<'_>, issued: &Issued) -> Result<(), TenancyError> {
    let terms = work.tenant.terms();
    let plan = plan_of(work, &terms)?;
    let plans = work.desk.plans;
    if let Some(running) = &mut work.tenant.subscription.period {
        of_period(running, (&terms, &plan), issued, plans);
    }
    if let Some(terms) = work.tenant.subscription.awaiting.as_ref().map(|awaiting| awaiting.terms.clone()) {
        let plan = plan_of(work, &terms)?;
        let period = work.tenant.subscription.awaiting.as_mut().and_then(|awaiting| awaiting.period.as_mut());
        period.into_iter().for_each(|running| of_period(running, (&terms, &plan), issued, plans));
    }
    Ok(())
}

fn of_period(running: &mut Running, (terms, plan): (&Terms, &Plan), issued: &Issued, plans: &Plans) {
    if issued.period != Some(running.span) {
        return;
    }
    for item in items(terms, plan) {
        let Some(now) = charged(&item, &running.uncharged) else { continue };
        if !issued.lines.iter().any(|line| charges(line, &now)) {
            continue;
        }
        // What it took off of the same period is charged again.
        let of_period = issued.lines.iter().filter(|line| line.period.is_some_and(|rest| rest.end == running.span.end));
        let instead = of_period.into_iter().find_map(|line| taken_off(line, &now, plans));
        running.uncharged.retain(|one| one.item != item);
        running.uncharged.push(Uncharged { item, instead });
    }
}

/// Of invoices of a tenant, newest first, the one that has taken off a part of what an earlier one charged.
pub(super) fn taken_off_by<'a>(later: &'a [Invoice], earlier: &Issued) -> Option<&'a Invoice> {
    let counts = |invoice: &&Invoice| invoice.standing.status != InvoiceStatus::Void;
    let takes = |line: &Line| match (&line.inputs, line.period) {
        (Inputs::Proration { of, is_credit: true, .. }, Some(rest)) => {
            earlier.lines.iter().any(|line| is_of(line, of) && holds(line, rest))
        }
        _ => false,
    };
    later.iter().filter(counts).find(|invoice| invoice.issued.lines.iter().any(takes))
}

/// Whether a line charges for this.
fn charges(line: &Line, item: &Item) -> bool {
    match &line.inputs {
        Inputs::Price { price, quantity, of } | Inputs::Proration { price, quantity, of, is_credit: false, .. } => {
            (*price, *quantity, of) == (item.price, item.quantity, &item.of)
        }
        _ => false,
    }
}

/// What a line took off that `item` came for: a plan for a plan, an add-on for itself in another quantity.
fn taken_off(line: &Line, item: &Item, plans: &Plans) -> Option<Item> {
    let Inputs::Proration { price, quantity, of, is_credit: true, .. } = &line.inputs else { return None };
    let title = match (item.is_plan, of.rsplit_once(" v")) {
        (true, Some((name, version))) => format!("{} Plan", plans.version(name, version.parse().ok()?)?.title()),
        (false, _) if *of == item.of => item.title.clone(),
        _ => return None,
    };
    Some(Item { of: of.clone(), title, price: *price, quantity: *quantity, is_plan: item.is_plan })
}

fn is_of(line: &Line, named: &str) -> bool {
    matches!(&line.inputs, Inputs::Price { of, .. } | Inputs::Proration { of, is_credit: false, .. } if of == named)
}

fn holds(line: &Line, rest: Span) -> bool {
    line.period.is_some_and(|whole| whole.start <= rest.start && rest.end <= whole.end)
}
