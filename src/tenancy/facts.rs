//! Turns a committed tenant into the facts that requests use.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderValue;

use super::features::enabled_features;
use super::runtime::Facts;
use crate::clock::SharedClock;
use crate::model::{Host, Origin, Plan, Tenant};
use crate::store::Version;
use crate::upstream::Resolver;

/// What turns a stored tenant into one that is served.
pub struct DirectorySettings {
    /// Tenants live one label below it.
    pub base_domain: Host,
    /// Whether custom domains are served.
    pub custom_domains: bool,
    /// The catalogue.
    pub plans: BTreeMap<String, Plan>,
    /// For tenants without an upstream of their own.
    pub default_upstream: Vec<Origin>,
    /// Makes targets of origins.
    pub resolver: Arc<Resolver>,
    /// Whether the flag `sso` may be on.
    pub sso: bool,
    /// Whether a certificate proves a custom domain.
    pub proves: Proof,
    /// What day it is.
    pub clock: SharedClock,
}

/// The tenant's plan is not in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tenant {tenant} is on the plan `{plan}`, which the configuration does not have; add [plans.{plan}] again")]
pub struct PlanMissing {
    /// Slug of the tenant.
    pub tenant: String,
    /// Name of the plan.
    pub plan: String,
}

/// The facts of `tenant`.
pub fn facts_of(tenant: &Tenant, version: Version, settings: &DirectorySettings) -> Result<Facts, PlanMissing> {
    let missing = || PlanMissing { tenant: tenant.slug.to_string(), plan: tenant.plan.clone() };
    let plan = settings.plans.get(&tenant.plan).ok_or_else(missing)?.clone();
    let features = enabled_features(tenant, settings.sso);
    let origins = if tenant.upstream.is_empty() { &settings.default_upstream } else { &tenant.upstream };
    let id_text = tenant.id.to_string();
    Ok(Facts {
        id_value: value(&id_text),
        slug_value: value(tenant.slug.as_str()),
        plan_value: value(&plan.name),
        features_value: (!features.is_empty()).then(|| value(&features.join(","))),
        features,
        policy_value: policy(&plan).map(|text| value(&text)),
        calls_per_day: plan.calls_per_day(),
        bytes_per_month: plan.bytes_per_month(),
        targets: origins.iter().map(|origin| settings.resolver.target(origin)).collect(),
        hosts: hosts_of(tenant, settings),
        id_text,
        tenant: tenant.clone(),
        version,
        plan,
    })
}

fn hosts_of(tenant: &Tenant, settings: &DirectorySettings) -> Vec<String> {
    if tenant.deleted_at.is_some() {
        return Vec::new();
    }
    let mut hosts = vec![format!("{}.{}", tenant.slug, settings.base_domain)];
    if settings.custom_domains
        && let Some(domain) = tenant.custom_domain.as_ref().filter(|domain| (settings.proves)(domain))
    {
        hosts.push(domain.to_string());
    }
    hosts
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

/// Shared by everything that asks whether a certificate proves a domain.
pub type Proof = Arc<dyn Fn(&Host) -> bool + Send + Sync>;
