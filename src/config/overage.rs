//! `[plans.*] overage`: what lies beyond the limits of a plan is refused, or billed by packages, each at one price or by tiers.

use super::plans::MOST;
use super::section::Section;
use super::tree::{Node, Value};
use super::values::{Wrong, choice, expected, price, size, whole};
use crate::model::plan::{Misfit, OveragePrice, Pricing, TierFault};
use crate::model::{Limits, Money, Overage, Tier};

/// How tiers are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Model {
    Package,
    Graduated,
    Volume,
}

/// `"block"`, or a table of prices.
pub(super) fn read(section: &Section<'_>, currency: &str) -> Option<Overage> {
    let Some(Value::Table(_)) = section.find("overage").map(|node| &node.value) else {
        return section.maybe("overage", |node| choice(node, &[("block", ())])).map(|_| Overage::Block);
    };
    let below = section.section("overage")?;
    let api_calls = beyond(&below, "api_calls", currency, |node| whole(node, 1..=MOST));
    let bandwidth = beyond(&below, "bandwidth", currency, size);
    let storage = beyond(&below, "storage", currency, size);
    below.finish();
    Some(Overage::Billed { api_calls: api_calls?, bandwidth: bandwidth?, storage: storage? })
}

fn beyond(
    section: &Section<'_>,
    key: &'static str,
    currency: &str,
    read: impl Fn(&Node) -> Result<u64, Wrong>,
) -> Option<Option<OveragePrice>> {
    if section.find(key).is_none() {
        return Some(None);
    }
    let below = section.section(key)?;
    let models = [("package", Model::Package), ("graduated", Model::Graduated), ("volume", Model::Volume)];
    let model = below.maybe("model", |node| choice(node, &models));
    let flat = below.maybe("price", |node| price(node, currency));
    let per = below.read("per", |node| match read(node)? {
        0 => Err(expected("more than 0", node)),
        per => Ok(per),
    });
    let tiers = if below.find("tiers").is_some() { tiers(&below, per, currency, &read).map(Some) } else { Some(None) };
    let hard_cap = below.maybe("hard_cap", |node| read(node));
    below.finish();
    let pricing = pricing(&below, model?.unwrap_or(Model::Package), flat?, tiers?)?;
    Some(Some(OveragePrice { pricing, per: per?, hard_cap: hard_cap? }))
}

/// A package has a price, the others have tiers.
fn pricing(section: &Section<'_>, model: Model, flat: Option<Money>, tiers: Option<Vec<Tier>>) -> Option<Pricing> {
    match (model, flat, tiers) {
        (Model::Package, Some(price), None) => Some(Pricing::Package(price)),
        (Model::Graduated, None, Some(tiers)) => Some(Pricing::Graduated(tiers)),
        (Model::Volume, None, Some(tiers)) => Some(Pricing::Volume(tiers)),
        (Model::Package, None, None) => {
            section.refuse("price", "`price` is missing");
            None
        }
        (Model::Package, _, Some(_)) => {
            section.refuse("tiers", "tiers need `model = \"graduated\"` or `model = \"volume\"`");
            None
        }
        (Model::Graduated | Model::Volume, Some(_), _) => {
            section.refuse("price", "with this model the prices stand in `tiers`; leave `price` out");
            None
        }
        (Model::Graduated | Model::Volume, None, None) => {
            section.refuse("model", "`tiers` is missing: [{ up_to = 100000, price = 0.50 }, { price = 0.40 }]");
            None
        }
    }
}

/// Tiers that end one after the other at whole packages, but for the last, which has no end.
fn tiers(section: &Section<'_>, per: Option<u64>, currency: &str, read: &impl Fn(&Node) -> Result<u64, Wrong>) -> Option<Vec<Tier>> {
    let below = section.tables("tiers")?;
    let count = below.len();
    let mut tiers = Vec::with_capacity(count);
    for (index, tier) in below.iter().enumerate() {
        let tier = tier.as_ref()?;
        let price = tier.read("price", |node| price(node, currency));
        let up_to = tier.maybe("up_to", |node| read(node));
        tier.finish();
        let (price, up_to, per) = (price?, up_to?, per?);
        let before = tiers.last().and_then(|tier: &Tier| tier.up_to).unwrap_or(0);
        let refuse = |problem: String| tier.refuse("up_to", problem);
        match TierFault::of(up_to, index + 1 == count, per, before) {
            Some(TierFault::NoEnd) => refuse("`up_to` is missing: only the last tier has no end".to_owned()),
            Some(TierFault::LastHasEnd) => refuse("the last tier has no end; leave `up_to` out".to_owned()),
            Some(TierFault::NotWhole) => {
                refuse(format!("expected a multiple of `per` ({per}), found {}", up_to.unwrap_or_default()));
            }
            Some(TierFault::NotBeyond) => refuse("expected more than the tier before reaches to".to_owned()),
            None => {}
        }
        tiers.push(Tier { up_to: up_to.map(|end| end / per), price });
    }
    if tiers.is_empty() {
        section.refuse("tiers", "at least one tier is needed");
        return None;
    }
    Some(tiers)
}

/// Something lies beyond a limit only where there is one, and a cap below the limit would make the limit a lie.
pub(super) fn check(section: &Section<'_>, overage: &Overage, limits: &Limits) {
    for (resource, misfit) in overage.misfits(limits) {
        let key = if resource == "apiCalls" { "api_calls" } else { resource };
        let problem = match misfit {
            Misfit::NoLimit => format!("`{key}` has a price, but max_{key} is unlimited, so nothing lies beyond it"),
            Misfit::CapBelow { cap, limit } => format!("the hard_cap of `{key}` ({cap}) is below max_{key} ({limit})"),
        };
        section.refuse("overage", problem);
    }
}
