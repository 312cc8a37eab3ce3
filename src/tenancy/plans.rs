//! The catalogue of plans and add-ons. A version of a plan never changes, and a tenant keeps the one it has until it is moved:
//! what the configuration says differently from the version before becomes the next one.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::change::{decode, encode};
use super::walk::Walk;
use super::{Cause, TenancyError, Tenants};
use crate::config::Config;
use crate::model::{AddOn, AuditId, Millis, Plan, Terms};
use crate::store::{AuditRow, Key, Precondition, Store, StoreError, Table, Tx};

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
}

impl Plans {
    /// A catalogue of version 1 of these, kept nowhere.
    pub fn fixed(plans: &BTreeMap<String, Plan>, add_ons: &BTreeMap<String, AddOn>) -> Self {
        let version = |plan: &Plan| vec![Version { plan: Arc::new(plan.clone()), source: Source::Config, created_at: Millis(0) }];
        let versions = plans.iter().map(|(name, plan)| (name.clone(), version(plan))).collect();
        Self::of_shelf(Shelf { versions, add_ons: add_ons.clone(), configured: plans.keys().cloned().collect() })
    }

    /// Reads the catalogue; plans of the configuration that differ from what it had become new versions.
    pub async fn open(store: &dyn Store, config: &Config, now: Millis) -> Result<Self, TenancyError> {
        let mut shelf = Shelf { configured: config.plans.keys().cloned().collect(), ..Shelf::default() };
        let mut walk = Walk::over(Table::Plans);
        while let Some(records) = walk.next(store).await? {
            for record in records {
                shelf.add(decode::<Stored>(&record.key, &record.value)?);
            }
        }
        let mut walk = Walk::over(Table::AddOns);
        while let Some(records) = walk.next(store).await? {
            for record in records {
                let add_on: AddOn = decode(&record.key, &record.value)?;
                shelf.add_ons.insert(add_on.name.clone(), add_on);
            }
        }
        shelf.add_ons.extend(config.add_ons.iter().map(|(name, add_on)| (name.clone(), add_on.clone())));
        let cause = Cause { actor: "config".to_owned(), request_id: None, now };
        for plan in config.plans.values() {
            let known = shelf.versions.get(&plan.name).and_then(|versions| versions.iter().rfind(|it| it.source == Source::Config));
            if known.is_some_and(|known| known.plan.is_like(plan)) {
                continue;
            }
            let plan = Plan { version: shelf.next_version(&plan.name), ..plan.clone() };
            let stored = Stored { plan, source: Source::Config, created_at: now };
            store.commit(commit_of(&stored, &cause)?).await?;
            shelf.add(stored);
        }
        Ok(Self::of_shelf(shelf))
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

/// What became of something that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is there now.
    New,
    /// It is there instead of what was there.
    Instead,
    /// It was there already.
    Known,
}

/// Adds a plan to the catalogue, or the next version of one, unless the newest is just like it. `along` adds to the commit; all of it
/// happens even where the caller goes away meanwhile.
pub async fn add_plan(
    tenants: &Tenants,
    plan: Plan,
    cause: &Cause,
    along: impl FnOnce(&Listed, Added, &mut Tx) -> Result<(), TenancyError> + Send + 'static,
) -> Result<(Listed, Added), TenancyError> {
    let (store, plans, cause) = (Arc::clone(&tenants.store), Arc::clone(&tenants.plans), cause.clone());
    let task = tokio::spawn(async move {
        // Two at once: each gets a version of its own.
        let _turn = plans.turn.lock().await;
        let newest = plans.all(Some(&plan.name)).pop();
        if let Some(newest) = newest.filter(|newest| newest.is_offered && newest.plan.is_like(&plan)) {
            let mut tx = Tx::default();
            along(&newest, Added::Known, &mut tx)?;
            if !tx.puts.is_empty() {
                store.commit(tx).await?;
            }
            return Ok((newest, Added::Known));
        }
        let plan = Plan { version: plans.shelf.load().next_version(&plan.name), ..plan };
        let stored = Stored { plan, source: Source::Api, created_at: cause.now };
        let mut tx = commit_of(&stored, &cause)?;
        let listed = Listed { plan: Arc::new(stored.plan.clone()), source: stored.source, created_at: stored.created_at, is_offered: true };
        along(&listed, Added::New, &mut tx)?;
        store.commit(tx).await?;
        let mut shelf = Shelf::clone(&plans.shelf.load());
        shelf.add(stored);
        plans.shelf.store(Arc::new(shelf));
        Ok((listed, Added::New))
    });
    finished(task).await
}

/// Adds an add-on to the catalogue, or replaces one; tenants that have it keep what they bought. `along` adds to the commit.
pub async fn add_add_on(
    tenants: &Tenants,
    add_on: AddOn,
    cause: &Cause,
    along: impl FnOnce(&AddOn, Added, &mut Tx) -> Result<(), TenancyError> + Send + 'static,
) -> Result<Added, TenancyError> {
    let (store, plans, cause) = (Arc::clone(&tenants.store), Arc::clone(&tenants.plans), cause.clone());
    let task = tokio::spawn(async move {
        let _turn = plans.turn.lock().await;
        let (added, action, before) = match plans.add_on(&add_on.name) {
            Some(known) if known == add_on => (Added::Known, "", None),
            Some(known) => (Added::Instead, "add_on.changed", serde_json::to_value(&known).ok()),
            None => (Added::New, "add_on.created", None),
        };
        let mut tx = Tx::default();
        if added != Added::Known {
            tx.puts.push((Key::new(Table::AddOns, add_on.name.clone()), encode(&add_on)?));
            tx.audit.push(audit(&cause, action, before, serde_json::to_value(&add_on).ok()));
        }
        along(&add_on, added, &mut tx)?;
        if !tx.puts.is_empty() {
            store.commit(tx).await?;
        }
        let mut shelf = Shelf::clone(&plans.shelf.load());
        shelf.add_ons.insert(add_on.name.clone(), add_on);
        plans.shelf.store(Arc::new(shelf));
        Ok(added)
    });
    finished(task).await
}

async fn finished<T>(task: JoinHandle<Result<T, TenancyError>>) -> Result<T, TenancyError> {
    task.await.map_err(|error| TenancyError::Store(StoreError::Unavailable(format!("the commit was cut off: {error}"))))?
}

fn commit_of(stored: &Stored, cause: &Cause) -> Result<Tx, TenancyError> {
    let plan = &stored.plan;
    let key = Key::new(Table::Plans, format!("{}/{:08}", plan.name, plan.version));
    // What the configuration says is no change that somebody asked for.
    let row = (stored.source == Source::Api).then(|| audit(cause, "plan.created", None, serde_json::to_value(plan).ok()));
    Ok(Tx {
        preconditions: vec![Precondition::Absent(key.clone())],
        puts: vec![(key, encode(stored)?)],
        audit: row.into_iter().collect(),
        ..Tx::default()
    })
}

fn audit(cause: &Cause, action: &str, before: Option<serde_json::Value>, after: Option<serde_json::Value>) -> AuditRow {
    AuditRow {
        id: AuditId::new(cause.now),
        time: cause.now,
        actor: cause.actor.clone(),
        action: action.to_owned(),
        tenant_id: None,
        before,
        after,
        request_id: cause.request_id.clone(),
    }
}

impl Shelf {
    fn add(&mut self, stored: Stored) {
        let Stored { plan, source, created_at } = stored;
        let versions = self.versions.entry(plan.name.clone()).or_default();
        versions.push(Version { plan: Arc::new(plan), source, created_at });
        versions.sort_by_key(|it| it.plan.version);
    }

    fn next_version(&self, name: &str) -> u32 {
        self.versions.get(name).and_then(|versions| versions.last()).map_or(1, |newest| newest.plan.version + 1)
    }

    /// What has left the configuration is kept by those who have it, and offered to nobody.
    fn offers(&self, version: &Version) -> bool {
        version.source == Source::Api || self.configured.contains(&version.plan.name)
    }
}
