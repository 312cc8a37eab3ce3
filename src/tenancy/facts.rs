//! Facts: what requests use of a committed tenant, and how they are made of it. There may be 100,000 tenants of which most are
//! idle: what many have alike is shared, and what only a request needs is made by the first.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use http::HeaderValue;
use serde_json::Value;

use super::features::{Deciding, Effective, OwnFlags, Rollouts};
use super::issuers::takes_common;
use super::plans::Plans;
use super::subscriptions::Accounts;
use crate::access::{Issuers, Verifier};
use crate::clock::SharedClock;
use crate::message::{Fields, Name};
use crate::model::{Host, Issuer, Origin, Plan, Slug, Status, Tenant, TenantConfig, TenantId};
use crate::store::Version;
use crate::upstream::{Resolver, Target};

/// What turns a stored tenant into one that is served.
pub struct DirectorySettings {
    /// Tenants live one label below it.
    pub base_domain: Host,
    /// Whether custom domains are served.
    pub custom_domains: bool,
    /// The catalogue.
    pub plans: Arc<Plans>,
    /// For tenants without an upstream of their own.
    pub default_upstream: Vec<Origin>,
    /// Makes targets of origins.
    pub resolver: Arc<Resolver>,
    /// Whether the flag `sso` may be on.
    pub sso: bool,
    /// Whether a certificate proves a custom domain.
    pub proves: Proof,
    /// Takes the stored certificate of a custom domain, or that there is none.
    pub serve: Serve,
    /// Makes verifiers for tokens.
    pub issuers: Arc<Issuers>,
    /// What day it is.
    pub clock: SharedClock,
    /// Who is due when, and who pays how much.
    pub accounts: Arc<Accounts>,
}

/// The tenant's plan is not in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tenant {tenant} is on version {version} of the plan `{plan}`, which the store does not have; restore it from a backup")]
pub struct PlanMissing {
    /// Slug of the tenant.
    pub tenant: String,
    /// Name of the plan.
    pub plan: String,
    /// Its version.
    pub version: u32,
}

/// What a request needs to know of its tenant, made ready when the tenant changes.
pub struct Facts {
    /// Who it is.
    pub tenant: Profile,
    /// The commit it comes from.
    pub version: Version,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// For `RateLimit-Policy`, where the tenant has a limit.
    pub policy_value: Option<HeaderValue>,
    /// Calls per day at which it is refused.
    pub calls_per_day: Option<u64>,
    /// Octets per month at which it is refused.
    pub bytes_per_month: Option<u64>,
    /// Where its requests go; never empty.
    pub targets: Arc<[Arc<Target>]>,
    /// Verify the tokens of its own issuers.
    pub verifiers: Arc<[Arc<Verifier>]>,
    own_flags: OwnFlags,
    rollouts: Arc<Rollouts>,
    labels: OnceLock<Box<Labels>>,
}

/// What is kept of a tenant in memory.
#[derive(Clone)]
pub struct Profile {
    /// For ever.
    pub id: TenantId,
    /// What people call it.
    pub name: Box<str>,
    /// Its label under the base domain.
    pub slug: Slug,
    /// Where it is in its life.
    pub status: Status,
    /// As JSON, which takes a tenth of what it takes parsed; none for the config that tenants begin with.
    config: Option<Box<str>>,
}

/// How the tenant is named to its app and in logs.
pub struct Labels {
    /// `tenant_…`.
    pub id_text: String,
    /// `X-Tenant-Id`, `X-Tenant-Slug`, `X-Tenant-Plan`, and `X-Tenant-Features` where any is on.
    pub fields: Fields,
    flags: Effective,
}

/// What the facts of many tenants share.
pub(super) struct Catalogue {
    settings: DirectorySettings,
    rollouts: ArcSwap<Rollouts>,
    /// The field `RateLimit-Policy` of plans that tenants have as they are.
    policies: DashMap<(String, u32), Option<HeaderValue>>,
    /// Of tenants without one of their own: known before there is any, so that the first finds its addresses.
    default_targets: Arc<[Arc<Target>]>,
    /// Of tenants without issuers of their own.
    no_verifiers: Arc<[Arc<Verifier>]>,
}

impl Facts {
    /// How it is named.
    pub fn labels(&self) -> &Labels {
        self.labels.get_or_init(|| {
            let id_text = self.tenant.id.to_string();
            let mut fields = Fields::new();
            fields.push(Name::XTenantId, value(&id_text));
            fields.push(Name::XTenantSlug, value(self.tenant.slug.as_str()));
            fields.push(Name::XTenantPlan, value(&self.plan.name));
            let flags = Deciding { tenant: &id_text, plan: &self.plan, own: &self.own_flags, rollouts: &self.rollouts }.effective();
            if !flags.on.is_empty() {
                fields.push(Name::XTenantFeatures, value(&flags.on.join(",")));
            }
            // A copy takes no more room than it needs.
            Box::new(Labels { id_text, fields: fields.clone(), flags })
        })
    }

    /// Flags that are on for everybody, sorted.
    pub fn features(&self) -> &[String] {
        &self.labels().flags.on
    }

    /// Whether a flag is on, for this verified user where there is one.
    pub fn has_feature(&self, flag: &str, user: Option<&str>) -> bool {
        let labels = self.labels();
        labels.flags.has(&labels.id_text, flag, user)
    }

    /// `X-Tenant-Features` for this verified user; `None` where it is what [`labels`](Self::labels) say, as it mostly is.
    pub fn features_for(&self, user: Option<&str>) -> Option<String> {
        let labels = self.labels();
        labels.flags.of_user(&labels.id_text, user)
    }

    /// The same facts under other roll-outs.
    pub(super) fn with_rollouts(&self, rollouts: &Arc<Rollouts>) -> Self {
        Self {
            tenant: self.tenant.clone(),
            version: self.version,
            plan: Arc::clone(&self.plan),
            policy_value: self.policy_value.clone(),
            calls_per_day: self.calls_per_day,
            bytes_per_month: self.bytes_per_month,
            targets: Arc::clone(&self.targets),
            verifiers: Arc::clone(&self.verifiers),
            own_flags: self.own_flags.clone(),
            rollouts: Arc::clone(rollouts),
            labels: OnceLock::new(),
        }
    }
}

impl Profile {
    /// Branding, features and settings, as JSON.
    pub fn config(&self) -> Value {
        // What was written from a config can be read, and what was read from JSON can be written.
        let own = self.config.as_deref().and_then(|text| serde_json::from_str(text).ok());
        own.unwrap_or_else(|| serde_json::to_value(TenantConfig::default()).unwrap_or_default())
    }
}

impl Catalogue {
    pub(super) fn new(settings: DirectorySettings) -> Self {
        let default_targets = settings.default_upstream.iter().map(|origin| settings.resolver.target(origin)).collect();
        let rollouts = ArcSwap::from_pointee(Rollouts { is_sso_off: !settings.sso, ..Rollouts::default() });
        Self { rollouts, policies: DashMap::new(), default_targets, no_verifiers: Arc::from([]), settings }
    }

    pub(super) fn settings(&self) -> &DirectorySettings {
        &self.settings
    }

    pub(super) fn rollouts(&self) -> Arc<Rollouts> {
        self.rollouts.load_full()
    }

    pub(super) fn set_rollouts(&self, rollouts: Rollouts) -> Arc<Rollouts> {
        let rollouts = Arc::new(rollouts);
        self.rollouts.store(Arc::clone(&rollouts));
        rollouts
    }

    /// The facts of `tenant`.
    pub(super) fn facts_of(&self, tenant: &Tenant, version: Version) -> Result<Facts, PlanMissing> {
        let (plan, policy_value) = self.plan_of(tenant)?;
        let targets = match tenant.upstream.as_slice() {
            [] => Arc::clone(&self.default_targets),
            origins => origins.iter().map(|origin| self.settings.resolver.target(origin)).collect(),
        };
        Ok(Facts {
            tenant: self.profile(tenant),
            version,
            policy_value,
            calls_per_day: plan.calls_per_day(),
            bytes_per_month: plan.bytes_per_month(),
            plan,
            targets,
            verifiers: self.verifiers_of(tenant),
            own_flags: OwnFlags::of(&tenant.config),
            rollouts: self.rollouts(),
            labels: OnceLock::new(),
        })
    }

    /// Its own issuers were checked when they were set; keys that cannot be read any more verify nothing.
    fn verifiers_of(&self, tenant: &Tenant) -> Arc<[Arc<Verifier>]> {
        if tenant.issuers.is_empty() {
            return Arc::clone(&self.no_verifiers);
        }
        let common = self.settings.issuers.common();
        // The configuration may have changed since.
        let is_apart = |issuer: &&Issuer| !common.iter().any(|other| takes_common(issuer, other.issuer()));
        let verifier = |issuer| self.settings.issuers.verifier(Some(tenant.id), issuer);
        let skip = |error| tracing::error!(tenant = tenant.slug.as_str(), %error, "an issuer of a tenant has no usable keys");
        tenant.issuers.iter().filter(is_apart).filter_map(|issuer| verifier(issuer).map_err(skip).ok()).collect()
    }

    /// The plan of a tenant with what was agreed and bought besides; most have it as it is, and share it.
    fn plan_of(&self, tenant: &Tenant) -> Result<(Arc<Plan>, Option<HeaderValue>), PlanMissing> {
        let terms = tenant.terms();
        let (name, version) = (terms.plan.clone(), terms.plan_version);
        let missing = || PlanMissing { tenant: tenant.slug.to_string(), plan: name.clone(), version };
        let plan = self.settings.plans.of(&terms).ok_or_else(missing)?;
        if !terms.is_plain() {
            let plan = terms.applied_to(&plan);
            let policy_value = policy(&plan).map(|text| value(&text));
            return Ok((Arc::new(plan), policy_value));
        }
        let key = (name, version);
        let known = self.policies.get(&key).map(|known| known.clone());
        let policy_value = known.unwrap_or_else(|| {
            let made = policy(&plan).map(|text| value(&text));
            self.policies.insert(key, made.clone());
            made
        });
        Ok((plan, policy_value))
    }

    fn profile(&self, tenant: &Tenant) -> Profile {
        let own = tenant.config != TenantConfig::default();
        Profile {
            id: tenant.id,
            name: tenant.name.as_str().into(),
            slug: tenant.slug.clone(),
            status: tenant.status,
            config: own.then(|| serde_json::to_string(&tenant.config).ok()).flatten().map(String::into_boxed_str),
        }
    }
}

/// The `RateLimit-Policy` field (draft-ietf-httpapi-ratelimit-headers-11): a window of ⌈burst ÷ rate⌉ seconds, and the day.
fn policy(plan: &Plan) -> Option<String> {
    let burst = plan.rate.map(|rate| format!("\"burst\";q={};w={}", rate.burst, rate.burst.div_ceil(rate.per_second)));
    let day = plan.calls_per_day().map(|calls| format!("\"day\";q={calls};w=86400"));
    let parts: Vec<String> = [burst, day].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Ids, slugs, plan names and flags are checked to be visible ASCII where they enter; anything else becomes empty.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// Where stored certificates go.
pub type Serve = Arc<dyn Fn(&str, Option<&[u8]>) + Send + Sync>;

/// Shared by everything that asks whether a certificate proves a domain.
pub type Proof = Arc<dyn Fn(&str) -> bool + Send + Sync>;
