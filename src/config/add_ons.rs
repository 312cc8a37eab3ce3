//! `[add_ons.*]`: what can be bought beside a plan.

use std::collections::BTreeMap;

use super::plans::{number, octets};
use super::section::Section;
use super::values::{price, text};
use crate::model::plan::{is_name, title};
use crate::model::{AddOn, Limits};

/// Every add-on, or nothing where one is wrong.
pub(super) fn read(section: &Section<'_>, currency: &str) -> Option<BTreeMap<String, AddOn>> {
    let read = |(name, below): (&str, Option<Section<'_>>)| {
        let below = below?;
        if !is_name(name) {
            section.problems.add(&below.place, "", "the name of an add-on has 1 to 63 characters: a–z, 0–9, `-` and `_`");
        }
        Some((name.to_owned(), add_on(name, &below, currency)?))
    };
    // Collected twice, so that every add-on is read before the first wrong one ends it.
    let add_ons: Vec<Option<(String, AddOn)>> = section.each().into_iter().map(read).collect();
    add_ons.into_iter().collect()
}

fn add_on(name: &str, section: &Section<'_>, currency: &str) -> Option<AddOn> {
    let price_monthly = section.read("price_monthly", |node| price(node, currency));
    let price_yearly = section.read("price_yearly", |node| price(node, currency));
    let given = section.maybe("title", |node| text(node).map(str::to_owned));
    let adds = if section.find("adds").is_some() { adds(&section.section("adds")?) } else { Some(Limits::default()) };
    section.finish();
    let title = given?.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| title(name));
    Some(AddOn { name: name.to_owned(), title, price_monthly: price_monthly?, price_yearly: price_yearly?, adds: adds? })
}

/// What one of it adds to limits.
fn adds(section: &Section<'_>) -> Option<Limits> {
    let max_users = section.maybe("max_users", number);
    let max_projects = section.maybe("max_projects", number);
    let max_storage = section.maybe("max_storage", octets);
    let max_api_calls = section.maybe("max_api_calls", number);
    let max_bandwidth = section.maybe("max_bandwidth", octets);
    section.finish();
    Some(Limits {
        max_users: max_users?.flatten(),
        max_projects: max_projects?.flatten(),
        max_storage: max_storage?.flatten(),
        max_api_calls: max_api_calls?.flatten(),
        max_bandwidth: max_bandwidth?.flatten(),
    })
}
