//! The catalogue of plans and add-ons. A version of a plan never changes, and a tenant keeps the one it has until it is moved:
//! what the configuration says differently from the version before becomes the next one.

mod edit;
mod open;

pub use edit::{Added, add_add_on, add_plan, withdraw_add_on, withdraw_plan};
pub use open::CatalogueError;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::change::encode;
use super::{Cause, TenancyError};
use crate::model::{AddOn, Millis, Plan, Terms};
use crate::store::{AuditRow, Key, Table};

/// Plans by name and version, and add-ons by name.
#[derive(Default)]
pub struct Plans {
    shelf: ArcSwap<Shelf>,
    /// Who adds to it: what is committed and what is shown stay in the same order.
    turn: Mutex<()>,
}

/// What there is at the moment.
#[derive(Default, Clone)]
struct Shelf {
    versions: BTreeMap<String, Vec<Version>>,
    add_ons: BTreeMap<String, AddOn>,
    /// Names of the configuration.
    configured: Vec<String>,
}

#[derive(Clone)]
struct Version {
    plan: Arc<Plan>,
    source: Source,
    created_at: Millis,
    is_withdrawn: bool,
}

/// Where a version of a plan comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The configuration.
    Config,
    /// The admin API.
    Api,
}

/// A version of a plan as the catalogue shows it.
#[derive(Clone)]
pub struct Listed {
    /// What it is.
    pub plan: Arc<Plan>,
    /// Where it comes from.
    pub source: Source,
    /// When it was made.
    pub created_at: Millis,
    /// Whether tenants can move to it.
    pub is_offered: bool,
}

/// A version of a plan as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    plan: Plan,
    source: Source,
    created_at: Millis,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_withdrawn: bool,
}

impl Plans {
    /// A catalogue of version 1 of these, kept nowhere.
    pub fn fixed(plans: &BTreeMap<String, Plan>, add_ons: &BTreeMap<String, AddOn>) -> Self {
        let version = |plan: &Plan| {
            vec![Version { plan: Arc::new(plan.clone()), source: Source::Config, created_at: Millis(0), is_withdrawn: false }]
        };
        let versions = plans.iter().map(|(name, plan)| (name.clone(), version(plan))).collect();
        Self::of_shelf(Shelf { versions, add_ons: add_ons.clone(), configured: plans.keys().cloned().collect() })
    }

    /// Shows what was committed; its caller has the turn.
    fn change(&self, change: impl FnOnce(&mut Shelf)) {
        let mut shelf = Shelf::clone(&self.shelf.load());
        change(&mut shelf);
        self.shelf.store(Arc::new(shelf));
    }

    fn of_shelf(shelf: Shelf) -> Self {
        Self { shelf: ArcSwap::from_pointee(shelf), turn: Mutex::default() }
    }

    /// The newest version of a plan that tenants can move to.
    pub fn latest(&self, name: &str) -> Option<Arc<Plan>> {
        let shelf = self.shelf.load();
        let newest = shelf.versions.get(name).and_then(|versions| versions.last());
        newest.filter(|newest| shelf.offers(newest)).map(|newest| Arc::clone(&newest.plan))
    }

    /// One version of a plan, offered or not.
    pub fn version(&self, name: &str, version: u32) -> Option<Arc<Plan>> {
        let shelf = self.shelf.load();
        let found = shelf.versions.get(name)?.iter().find(|it| it.plan.version == version)?;
        Some(Arc::clone(&found.plan))
    }

    /// The plan of these terms, without what was agreed and bought besides.
    pub fn of(&self, terms: &Terms) -> Option<Arc<Plan>> {
        self.version(&terms.plan, terms.plan_version)
    }

    /// An add-on that can be bought.
    pub fn add_on(&self, name: &str) -> Option<AddOn> {
        self.shelf.load().add_ons.get(name).cloned()
    }

    /// All add-ons.
    pub fn add_ons(&self) -> Vec<AddOn> {
        self.shelf.load().add_ons.values().cloned().collect()
    }

    /// The newest version of each plan that is offered, the cheapest first.
    pub fn offered(&self) -> Vec<Arc<Plan>> {
        let shelf = self.shelf.load();
        let newest = shelf.versions.values().filter_map(|versions| versions.last()).filter(|newest| shelf.offers(newest));
        let mut plans: Vec<Arc<Plan>> = newest.map(|newest| Arc::clone(&newest.plan)).collect();
        plans.sort_by(|one, other| (one.price_monthly, &one.name).cmp(&(other.price_monthly, &other.name)));
        plans
    }

    /// Every version of every plan, or of one.
    pub fn all(&self, name: Option<&str>) -> Vec<Listed> {
        let shelf = self.shelf.load();
        let wanted = shelf.versions.iter().filter(|(of, _)| name.is_none_or(|name| name == of.as_str()));
        let listed = wanted.flat_map(|(_, versions)| {
            let newest = versions.last().map_or(0, |newest| newest.plan.version);
            versions.iter().map(move |it| (it, it.plan.version == newest))
        });
        let list = |(it, is_newest): (&Version, bool)| Listed {
            plan: Arc::clone(&it.plan),
            source: it.source,
            created_at: it.created_at,
            is_offered: is_newest && shelf.offers(it),
        };
        listed.map(list).collect()
    }
}

impl Stored {
    /// Where it is stored, and as what.
    fn put(&self) -> Result<(Key, Vec<u8>), TenancyError> {
        Ok((Key::new(Table::Plans, format!("{}/{:08}", self.plan.name, self.plan.version)), encode(self)?))
    }
}

pub(super) fn audit(cause: &Cause, action: &str, before: Option<serde_json::Value>, after: Option<serde_json::Value>) -> AuditRow {
    cause.audit(action, None, before.map(in_minor_units), after.map(in_minor_units))
}

/// Plans and add-ons are kept in minor units, and audit rows say so, as all others do.
fn in_minor_units(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(members) => {
            let named =
                |name: String| if matches!(name.as_str(), "price" | "priceMonthly" | "priceYearly") { name + "Minor" } else { name };
            Value::Object(members.into_iter().map(|(name, value)| (named(name), in_minor_units(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(in_minor_units).collect()),
        other => other,
    }
}

impl Shelf {
    fn add(&mut self, stored: Stored) {
        let Stored { plan, source, created_at, is_withdrawn } = stored;
        let versions = self.versions.entry(plan.name.clone()).or_default();
        versions.retain(|it| it.plan.version != plan.version);
        versions.push(Version { plan: Arc::new(plan), source, created_at, is_withdrawn });
        versions.sort_by_key(|it| it.plan.version);
    }

    /// The next version of a plan.
    fn next(&self, plan: Plan, source: Source, created_at: Millis) -> Stored {
        let newest = self.versions.get(&plan.name).and_then(|versions| versions.last());
        let version = newest.map_or(1, |newest| newest.plan.version + 1);
        Stored { plan: Plan { version, ..plan }, source, created_at, is_withdrawn: false }
    }

    /// What has left the configuration is kept by those who have it, and offered to nobody.
    fn offers(&self, version: &Version) -> bool {
        !version.is_withdrawn && (version.source == Source::Api || self.configured.contains(&version.plan.name))
    }
}
