//! How revenue looks in JSON: each amount as a decimal number by the month, and as `…Minor` in minor units.

use serde_json::{Map, Value, json};

use crate::billing::revenue::{Account, Flow, Totals, money};
use crate::model::Money;

/// The revenue of a month in one currency.
pub struct Told<'a> {
    /// Such as `2026-11`.
    pub month: &'a str,
    /// From its beginning to its end, or to now.
    pub account: Account,
    /// What stands at the moment, where the month is the current one.
    pub now: Option<Totals>,
}

/// The revenue of a month as JSON writes it.
pub fn revenue_json(told: &Told<'_>, currency: &str) -> Value {
    let (account, moves) = (&told.account, &told.account.moves);
    let mut view = Map::new();
    view.insert("month".to_owned(), json!(told.month));
    amount(&mut view, "mrr", Some(account.ended.monthly()), currency);
    amount(&mut view, "arr", Some(money(account.ended.yearly)), currency);
    view.insert("customers".to_owned(), json!(account.ended.customers));
    view.insert("customersAtBeginning".to_owned(), json!(account.begun.customers));
    amount(&mut view, "mrrAtBeginning", Some(account.begun.monthly()), currency);
    amount(&mut view, "averagePerCustomer", account.ended.average(), currency);
    for (name, flow) in [
        ("new", moves.new),
        ("reactivation", moves.reactivation),
        ("expansion", moves.expansion),
        ("contraction", moves.contraction),
        ("churn", moves.churn),
    ] {
        view.insert(name.to_owned(), flow_json(flow, currency));
    }
    view.insert("churnRate".to_owned(), json!(account.churn_rate()));
    view.insert("revenueChurnRate".to_owned(), json!(account.revenue_churn_rate()));
    view.insert("netRevenueRetention".to_owned(), json!(account.net_revenue_retention()));
    let trials = json!({
        "running": told.now.map(|now| now.trials),
        "converted": moves.converted,
        "lost": moves.lost,
        "conversionRate": moves.conversion_rate(),
    });
    view.insert("trials".to_owned(), trials);
    amount(&mut view, "open", told.now.map(|now| money(now.open)), currency);
    amount(&mut view, "overdue", told.now.map(|now| money(now.overdue)), currency);
    Value::Object(view)
}

fn flow_json(flow: Flow, currency: &str) -> Value {
    let monthly = flow.monthly();
    json!({"amount": monthly.major(currency), "amountMinor": monthly, "customers": flow.customers})
}

fn amount(view: &mut Map<String, Value>, name: &str, amount: Option<Money>, currency: &str) {
    view.insert(name.to_owned(), json!(amount.map(|amount| amount.major(currency))));
    view.insert(format!("{name}Minor"), json!(amount));
}
