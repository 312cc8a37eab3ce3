//! `[plans.*]` and `[plan_defaults]`: the catalogue, with prices as integers and limits of one kind.

use std::collections::BTreeMap;

use super::overage;
use super::section::Section;
use super::tree::{Node, Value};
use super::values::{Wrong, expected, limit, price, size, switch, whole};
use crate::model::plan::is_name;
use crate::model::{Limits, Plan, Rate, is_flag};

/// Above it, sums of usage could overflow.
pub(super) const MOST: u64 = i64::MAX as u64;

/// The limits of a plan that names none.
#[derive(Default)]
pub(super) struct Defaults {
    users: Option<u64>,
    storage: Option<u64>,
}

pub(super) fn defaults(section: &Section<'_>) -> Option<Defaults> {
    let users = section.read("max_users", number);
    let storage = section.read("max_storage", octets);
    section.finish();
    Some(Defaults { users: users?, storage: storage? })
}

/// Every plan, or nothing where one is wrong.
pub(super) fn read(section: &Section<'_>, defaults: &Defaults, currency: &str) -> Option<BTreeMap<String, Plan>> {
    let read = |(name, below): (&str, Option<Section<'_>>)| {
        let below = below?;
        if !is_name(name) {
            section.problems.add(&below.place, "", "the name of a plan has 1 to 63 characters: a–z, 0–9, `-` and `_`");
        }
        Some((name.to_owned(), plan(name, &below, defaults, currency)?))
    };
    // Collected twice, so that every plan is read before the first wrong one ends it.
    let plans: Vec<Option<(String, Plan)>> = section.each().into_iter().map(read).collect();
    plans.into_iter().collect()
}

fn plan(name: &str, section: &Section<'_>, defaults: &Defaults, currency: &str) -> Option<Plan> {
    let price_monthly = section.read("price_monthly", |node| price(node, currency));
    let price_yearly = section.read("price_yearly", |node| price(node, currency));
    let max_users = section.maybe("max_users", number);
    let max_projects = section.maybe("max_projects", number);
    let max_storage = section.maybe("max_storage", octets);
    let max_api_calls = section.maybe("max_api_calls", number);
    let max_bandwidth = section.maybe("max_bandwidth", octets);
    let rate = rate(section);
    let concurrency = section.maybe("concurrency", |node| limit(node, "a whole number from 1", |node| whole(node, 1..=u32::MAX)));
    let overage = overage::read(section, currency);
    let features = section.maybe("features", flags);
    section.finish();
    let limits = Limits {
        max_users: max_users?.unwrap_or(defaults.users),
        max_projects: max_projects?.flatten(),
        max_storage: max_storage?.unwrap_or(defaults.storage),
        max_api_calls: max_api_calls?.flatten(),
        max_bandwidth: max_bandwidth?.flatten(),
    };
    let overage = overage?;
    overage::check(section, &overage, &limits);
    Some(Plan {
        name: name.to_owned(),
        version: 1,
        price_monthly: price_monthly?,
        price_yearly: price_yearly?,
        limits,
        rate: rate?,
        concurrency: concurrency?.flatten(),
        overage,
        features: features?.unwrap_or_default(),
    })
}

pub(super) fn number(node: &Node) -> Result<Option<u64>, Wrong> {
    limit(node, "a whole number", |node| whole(node, 0..=MOST))
}

pub(super) fn octets(node: &Node) -> Result<Option<u64>, Wrong> {
    let read = |node: &Node| size(node).and_then(|size| if size <= MOST { Ok(size) } else { Err(expected("less", node)) });
    limit(node, "a size such as \"10GiB\", \"10GB\" or whole octets", read)
}

/// A table of flags that are on or off.
fn flags(node: &Node) -> Result<BTreeMap<String, bool>, Wrong> {
    let Value::Table(table) = &node.value else { return Err(expected("a table such as { advancedAnalytics = true }", node)) };
    let (mut flags, mut wrong) = (BTreeMap::new(), Vec::new());
    for (name, entry) in &table.0 {
        if !is_flag(name) {
            let shown: String = name.chars().take(80).flat_map(char::escape_debug).collect();
            let problem = format!("`{shown}` is not a flag: a letter, then at most 63 letters, digits or `_ . -`");
            wrong.push((entry.key.clone(), problem));
        }
        match switch(&entry.node) {
            Ok(on) => drop(flags.insert(name.clone(), on)),
            Err(Wrong(reasons)) => wrong.extend(reasons),
        }
    }
    if wrong.is_empty() { Ok(flags) } else { Err(Wrong(wrong)) }
}

/// A table, or `"unlimited"`.
pub(super) fn rate(section: &Section<'_>) -> Option<Option<Rate>> {
    let Some(Value::Table(_)) = section.find("rate").map(|node| &node.value) else {
        let what = "{ per_second = …, burst = … }";
        return section.maybe("rate", |node| limit(node, what, |node| Err(expected(what, node)))).map(Option::flatten);
    };
    let below = section.section("rate")?;
    let per_second = below.read("per_second", |node| whole(node, 1..=u32::MAX));
    let burst = below.maybe("burst", |node| whole(node, 1..=u32::MAX));
    below.finish();
    let (per_second, burst) = (per_second?, burst?);
    Some(Some(Rate { per_second, burst: burst.unwrap_or(per_second) }))
}
