//! Feature flags. What decides is, in this order: a switch of the deployment, the tenant's own config, its plan, a roll-out; what
//! nothing decides is off. One function says so for the API, for routes and for what the app is told.

mod bucket;
mod edit;

pub(super) use edit::load_rollouts;
pub use edit::{NewRollout, remove_rollout, set_rollout};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{FlagSource, Plan, Rollout, RolloutBy, Tenant, TenantConfig};

/// What holds for the flags of all tenants.
#[derive(Debug, Clone, Default)]
pub struct Rollouts {
    /// By the name of the flag.
    pub by_flag: BTreeMap<String, Arc<Rollout>>,
    /// The flag `sso` is off, whoever has it.
    pub is_sso_off: bool,
}

/// Flags that a tenant's own config switches, in the order of their names. Most tenants have none, which takes no memory.
#[derive(Debug, Clone, Default)]
pub(super) struct OwnFlags(Option<Arc<[OwnFlag]>>);

type OwnFlag = (Box<str>, bool);

/// All that decides over the flags of one tenant.
pub(super) struct Deciding<'a> {
    /// Its id as text.
    pub tenant: &'a str,
    pub plan: &'a Plan,
    pub own: &'a OwnFlags,
    pub rollouts: &'a Rollouts,
}

/// A flag of one tenant, as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct FlagState {
    /// Its name.
    pub name: String,
    /// On or off.
    pub enabled: bool,
    /// What decided that.
    pub source: FlagSource,
    /// What the tenant's own config says.
    pub own: Option<bool>,
    /// What its plan says.
    pub plan_default: Option<bool>,
    /// The roll-out of the flag, whether it is for this tenant or not.
    pub rollout: Option<Arc<Rollout>>,
}

/// Each flag of a stored tenant as it stands for a user, or for nobody in particular; those of `more` as well, sorted.
pub fn flags_of(tenant: &Tenant, plan: &Plan, rollouts: &Rollouts, user: Option<&str>, more: &[&str]) -> Vec<FlagState> {
    let (id, own) = (tenant.id.to_string(), OwnFlags::of(&tenant.config));
    Deciding { tenant: &id, plan, own: &own, rollouts }.states(user, more)
}

/// The flags of one tenant that are on or may be, for requests.
pub(super) struct Effective {
    /// On for everybody, sorted.
    pub on: Box<[String]>,
    /// On for some of its users, sorted by flag.
    pub by_user: Box<[Arc<Rollout>]>,
}

enum Verdict<'a> {
    Known(bool),
    ByUser(&'a Arc<Rollout>),
}

impl OwnFlags {
    pub fn of(config: &TenantConfig) -> Self {
        let flags = config.features.iter().map(|(name, on)| (name.as_str().into(), *on));
        // A BTreeMap is read in the order of its names.
        Self((!config.features.is_empty()).then(|| flags.collect()))
    }

    fn all(&self) -> &[OwnFlag] {
        self.0.as_deref().unwrap_or_default()
    }

    fn get(&self, flag: &str) -> Option<bool> {
        let at = self.all().binary_search_by(|(name, _)| (**name).cmp(flag)).ok()?;
        self.all().get(at).map(|(_, on)| *on)
    }
}

impl Deciding<'_> {
    fn decide(&self, flag: &str) -> (Verdict<'_>, FlagSource) {
        if flag == "sso" && self.rollouts.is_sso_off {
            return (Verdict::Known(false), FlagSource::Deployment);
        }
        if let Some(on) = self.own.get(flag) {
            return (Verdict::Known(on), FlagSource::Tenant);
        }
        if let Some(on) = self.plan.features.get(flag) {
            return (Verdict::Known(*on), FlagSource::Plan);
        }
        let is_for = |rollout: &&Arc<Rollout>| rollout.plans.as_ref().is_none_or(|plans| plans.contains(&self.plan.name));
        match self.rollouts.by_flag.get(flag).filter(is_for) {
            Some(rollout) if rollout.by == RolloutBy::User => (Verdict::ByUser(rollout), FlagSource::Rollout),
            Some(rollout) => (Verdict::Known(bucket::reaches(rollout, self.tenant, None)), FlagSource::Rollout),
            None => (Verdict::Known(false), FlagSource::Default),
        }
    }

    /// Every flag that anything says something of, sorted.
    fn names(&self) -> BTreeSet<&str> {
        let own = self.own.all().iter().map(|(name, _)| &**name);
        own.chain(self.plan.features.keys().map(String::as_str)).chain(self.rollouts.by_flag.keys().map(String::as_str)).collect()
    }

    /// What requests need to know.
    pub fn effective(&self) -> Effective {
        let (mut on, mut by_user) = (Vec::new(), Vec::new());
        for name in self.names() {
            match self.decide(name).0 {
                Verdict::Known(true) => on.push(name.to_owned()),
                Verdict::Known(false) => {}
                Verdict::ByUser(rollout) => by_user.push(Arc::clone(rollout)),
            }
        }
        Effective { on: on.into(), by_user: by_user.into() }
    }

    fn states(&self, user: Option<&str>, more: &[&str]) -> Vec<FlagState> {
        let mut names = self.names();
        names.extend(more.iter().copied());
        let state = |name: &str| {
            let (verdict, source) = self.decide(name);
            let enabled = match verdict {
                Verdict::Known(on) => on,
                Verdict::ByUser(rollout) => bucket::reaches(rollout, self.tenant, user),
            };
            let (own, plan_default) = (self.own.get(name), self.plan.features.get(name).copied());
            FlagState { name: name.to_owned(), enabled, source, own, plan_default, rollout: self.rollouts.by_flag.get(name).cloned() }
        };
        names.into_iter().map(state).collect()
    }
}

impl Effective {
    /// Whether a flag is on, for a user or for nobody in particular. Allocates nothing where no flag is by user.
    pub fn has(&self, tenant: &str, flag: &str, user: Option<&str>) -> bool {
        let is_on = self.on.binary_search_by(|name| name.as_str().cmp(flag)).is_ok();
        is_on || self.by_user.iter().any(|rollout| rollout.flag == flag && bucket::reaches(rollout, tenant, user))
    }

    /// All flags that are on for a user, sorted and comma separated; `None` where they are those of everybody.
    pub fn of_user(&self, tenant: &str, user: Option<&str>) -> Option<String> {
        let user = user.filter(|_| !self.by_user.is_empty());
        let more = self.by_user.iter().filter(|rollout| user.is_some() && bucket::reaches(rollout, tenant, user));
        let mut more = more.map(|rollout| rollout.flag.as_str()).peekable();
        more.peek()?;
        let mut all: Vec<&str> = self.on.iter().map(String::as_str).chain(more).collect();
        all.sort_unstable();
        Some(all.join(","))
    }
}
