//! What the rest of a period was charged for. Mostly what is agreed; something else or nothing, where an invoice of the period was
//! voided, given up or credited whole: no later change takes off what nobody was charged for.

use super::period::plan_of;
use super::work::Work;
use crate::billing::items::items;
use crate::model::running::{Item, Uncharged};
use crate::model::{Inputs, Invoice, InvoiceStatus, Issued, Line, Money, Plan, Running, Span, Terms};
use crate::tenancy::{Plans, TenancyError};

/// What was charged for something that is agreed, for the rest of the period.
pub(super) fn charged(item: &Item, uncharged: &[Uncharged]) -> Vec<Item> {
    match uncharged.iter().find(|one| one.item == *item) {
        Some(one) => one.instead.clone(),
        None => vec![item.clone()],
    }
}

/// An invoice charges nothing any more: neither does it for the period that runs, nor for one that begins when a payment has come.
/// What `later` ones have taken off of it is charged by them.
pub(super) fn uncharge(work: &mut Work<'_>, issued: &Issued, later: &[Invoice]) -> Result<(), TenancyError> {
    let terms = work.tenant.terms();
    let plan = plan_of(work, &terms)?;
    let plans = work.desk.plans;
    if let Some(running) = &mut work.tenant.subscription.period {
        of_period(running, (&terms, &plan), (issued, later), plans);
    }
    if let Some(terms) = work.tenant.subscription.awaiting.as_ref().map(|awaiting| awaiting.terms.clone()) {
        let plan = plan_of(work, &terms)?;
        let period = work.tenant.subscription.awaiting.as_mut().and_then(|awaiting| awaiting.period.as_mut());
        period.into_iter().for_each(|running| of_period(running, (&terms, &plan), (issued, later), plans));
    }
    Ok(())
}

/// An invoice that was given up is paid: it charges again.
pub(super) fn recharge(work: &mut Work<'_>, issued: &Issued) {
    if let Some(running) = work.tenant.subscription.period.as_mut().filter(|running| issued.period == Some(running.span)) {
        running.uncharged.retain(|one| !issued.lines.iter().any(|line| charges(line, &one.item)));
    }
}

fn of_period(running: &mut Running, (terms, plan): (&Terms, &Plan), (issued, later): (&Issued, &[Invoice]), plans: &Plans) {
    if issued.period != Some(running.span) {
        return;
    }
    let is_taken = |of: &str| {
        let mut lines = not_void(later).flat_map(|invoice| &invoice.issued.lines);
        lines.any(|line| takes_off_of(line, issued) && matches!(&line.inputs, Inputs::Proration { of: taken, .. } if taken == of))
    };
    let by_it = |item: &Item| !is_taken(&item.of) && issued.lines.iter().any(|line| charges(line, item));
    let came: Vec<(Item, Vec<Item>)> = items(terms, plan)
        .into_iter()
        .filter_map(|item| {
            let (ours, others): (Vec<Item>, Vec<Item>) = charged(&item, &running.uncharged).into_iter().partition(by_it);
            (!ours.is_empty()).then_some((item, others))
        })
        .collect();
    // What it took off of the same period is charged again.
    let of_period = issued.lines.iter().filter(|line| line.period.is_some_and(|rest| rest.end == running.span.end));
    let took: Vec<Item> = of_period.filter_map(|line| taken_off(line, plans)).collect();
    running.uncharged.retain(|one| !came.iter().any(|(item, _)| *item == one.item));
    running.uncharged.extend(instead_of(came, took));
}

/// Things that came (with what else is charged for them) in place of others: each for what it was before, and the first of them, which is
/// the plan where one came, for all that is there no more.
pub(super) fn instead_of(came: Vec<(Item, Vec<Item>)>, took: Vec<Item>) -> Vec<Uncharged> {
    let mut all: Vec<Uncharged> = came.into_iter().map(|(item, instead)| Uncharged { item, instead }).collect();
    for before in took {
        let is_same = |one: &Uncharged| one.item.is_plan && before.is_plan || one.item.of == before.of;
        let place = all.iter().position(is_same).unwrap_or(0);
        if let Some(one) = all.get_mut(place) {
            one.instead.push(before);
        }
    }
    all
}

/// Of invoices of a tenant, newest first, the one that has taken off a part of what an earlier one charged.
pub(super) fn taken_off_by<'a>(later: &'a [Invoice], earlier: &Issued) -> Option<&'a Invoice> {
    not_void(later).find(|invoice| invoice.issued.lines.iter().any(|line| takes_off_of(line, earlier)))
}

/// How much they have taken off of it, with its tax.
pub(super) fn given_back(later: &[Invoice], earlier: &Issued) -> Money {
    let lines = not_void(later).flat_map(|invoice| &invoice.issued.lines).filter(|line| takes_off_of(line, earlier));
    let net: Money = lines.map(|line| -line.amount).sum();
    let worth = earlier.total + earlier.balance_used();
    net.scaled(i128::from(worth.0), i128::from(earlier.subtotal().0.max(1)))
}

fn not_void(invoices: &[Invoice]) -> impl Iterator<Item = &Invoice> {
    invoices.iter().filter(|invoice| invoice.standing.status != InvoiceStatus::Void)
}

fn takes_off_of(line: &Line, earlier: &Issued) -> bool {
    match (&line.inputs, line.period) {
        (Inputs::Proration { of, is_credit: true, .. }, Some(rest)) => {
            earlier.lines.iter().any(|line| is_of(line, of) && holds(line, rest))
        }
        _ => false,
    }
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

/// What a line took off: a plan, whose name has its version, or an add-on.
fn taken_off(line: &Line, plans: &Plans) -> Option<Item> {
    let Inputs::Proration { price, quantity, of, is_credit: true, .. } = &line.inputs else { return None };
    let plan = of.rsplit_once(" v").and_then(|(name, version)| plans.version(name, version.parse().ok()?));
    // As the line names it: an add-on may not be sold any more.
    let named = line.description.rsplit_once(" - ").map_or(line.description.as_str(), |(named, _)| named);
    let title = named.strip_suffix(&format!(" × {quantity}")).unwrap_or(named).to_owned();
    Some(Item { of: of.clone(), title, price: *price, quantity: *quantity, is_plan: plan.is_some() })
}

fn is_of(line: &Line, named: &str) -> bool {
    matches!(&line.inputs, Inputs::Price { of, .. } | Inputs::Proration { of, is_credit: false, .. } if of == named)
}

fn holds(line: &Line, rest: Span) -> bool {
    line.period.is_some_and(|whole| whole.start <= rest.start && rest.end <= whole.end)
}
