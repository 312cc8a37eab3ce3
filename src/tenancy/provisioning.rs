//! Provisioning: tenants are created here and changed here, as data; nothing is committed.

use serde_json::{Map, Value, json};

use super::domains::{claim, release};
use super::subscriptions::first_period;
use super::{Cause, Change, Desk, FieldError, Metered, TenancyError, Versioned, rules};
use crate::config::Config;
use crate::model::{BillingCycle, CustomDomain, Host, Millis, Party, Plan, Status, Subscription, Tenant, TenantConfig, TenantId, Terms};

/// What a new tenant shall be, as it was asked for.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// 1 to 200 characters.
    pub name: String,
    /// Label under the base domain.
    pub slug: String,
    /// Name of a plan.
    pub plan: String,
    /// How often it pays.
    pub billing_cycle: BillingCycle,
    /// A domain of its own.
    pub custom_domain: Option<String>,
    /// Laid over the default config.
    pub config: Option<Value>,
    /// Kept for the operator.
    pub metadata: Option<Value>,
    /// Its upstreams; empty is the default one.
    pub upstream: Vec<String>,
    /// Whom invoices are issued to.
    pub billing: Option<Value>,
}

/// What shall be different; `None` stays.
#[derive(Debug, Clone, Default)]
pub struct TenantPatch {
    /// Another name.
    pub name: Option<String>,
    /// Another domain, or none.
    pub custom_domain: Option<Option<String>>,
    /// Merge patch.
    pub config: Option<Value>,
    /// Merge patch; `null` empties it.
    pub metadata: Option<Value>,
    /// Other upstreams; empty is the default one.
    pub upstream: Option<Vec<String>>,
    /// Merge patch; `null` empties it.
    pub billing: Option<Value>,
}

/// A new tenant: active at once on a free plan, otherwise in trial.
pub fn create_tenant(new: &NewTenant, desk: Desk<'_>, cause: &Cause) -> Result<Change, TenancyError> {
    let config = desk.config;
    let mut errors = Vec::new();
    let name = keep(rules::name(&new.name), &mut errors);
    let slug = keep(rules::slug(&new.slug, config), &mut errors);
    let plan = keep(rules::plan(&new.plan, desk.plans), &mut errors);
    let custom_domain =
        keep(new.custom_domain.as_deref().map(|text| rules::domain(text, "/customDomain", config)).transpose(), &mut errors);
    let patch = new.config.clone().unwrap_or_else(|| json!({}));
    let settings = keep_all(rules::config_patch(&TenantConfig::default(), &patch, "/config", config), &mut errors);
    let metadata = keep(new.metadata.as_ref().map_or_else(|| Ok(Map::new()), |given| rules::metadata(&Map::new(), given)), &mut errors);
    let upstream = keep(rules::upstream(&new.upstream), &mut errors);
    let patch = new.billing.clone().unwrap_or_else(|| json!({}));
    let billing = keep_all(rules::party(&Party::default(), &patch), &mut errors);
    let (Some(name), Some(slug), Some(plan), Some(custom_domain), Some(tenant_config), Some(metadata), Some(upstream), Some(billing)) =
        (name, slug, plan, custom_domain, settings, metadata, upstream, billing)
    else {
        return Err(TenancyError::Invalid(errors));
    };
    let trial_ends_at = (!plan.is_free()).then(|| cause.now.plus_days(i64::from(config.billing.trial_days)));
    let tenant = Tenant {
        id: TenantId::new(cause.now),
        name,
        slug,
        status: if plan.is_free() { Status::Active } else { Status::Trial },
        previous_status: None,
        status_reason: None,
        previous_reason: None,
        plan: plan.name.clone(),
        billing_cycle: new.billing_cycle,
        subscription: begin_free(&plan, new.billing_cycle, cause.now),
        billing,
        custom_domain,
        config: tenant_config,
        metadata,
        upstream,
        issuers: Vec::new(),
        created_at: cause.now,
        updated_at: cause.now,
        trial_ends_at,
        deleted_at: None,
        is_released: false,
    };
    let mut change = Change::insert(tenant)?;
    let after = json!({
        "name": change.tenant.name, "slug": change.tenant.slug, "status": change.tenant.status, "plan": change.tenant.plan,
        "billingCycle": change.tenant.billing_cycle, "customDomain": change.tenant.custom_domain,
    });
    change.tx.audit.push(cause.audit("tenant.created", change.tenant.id, None, Some(after)));
    Ok(change)
}

/// A plan without a price that bills usage has periods from the start.
fn begin_free(plan: &Plan, cycle: BillingCycle, now: Millis) -> Subscription {
    let subscription = Subscription { plan_version: plan.version, ..Subscription::default() };
    if !plan.is_free() || !plan.bills_usage() {
        return subscription;
    }
    let terms = Terms { plan: plan.name.clone(), plan_version: plan.version, billing_cycle: cycle, add_ons: Vec::new(), overrides: None };
    Subscription { period: Some(first_period(&terms, plan, now, &Metered::default())), ..subscription }
}

/// The tenant, which has these `claims` on domains, with other facts. `action` names it in the audit log; config errors point
/// below `at`.
pub fn update_tenant(
    current: &Versioned<Tenant>,
    claims: &[CustomDomain],
    patch: &TenantPatch,
    (action, at): (&str, &str),
    config: &Config,
    cause: &Cause,
) -> Result<Change, TenancyError> {
    not_deleted(&current.value)?;
    let mut errors = Vec::new();
    let mut tenant = current.value.clone();
    if let Some(name) = patch.name.as_deref().and_then(|name| keep(rules::name(name), &mut errors)) {
        tenant.name = name;
    }
    if let Some(domain) = &patch.custom_domain {
        tenant.custom_domain = keep(domain_or_none(domain.as_deref(), "/customDomain", config), &mut errors).flatten();
    }
    if let Some(merged) = patch.config.as_ref().and_then(|p| keep_all(rules::config_patch(&tenant.config, p, at, config), &mut errors)) {
        tenant.config = merged;
    }
    if let Some(merged) = patch.metadata.as_ref().and_then(|p| keep(rules::metadata(&tenant.metadata, p), &mut errors)) {
        tenant.metadata = merged;
    }
    if let Some(upstream) = patch.upstream.as_ref().and_then(|texts| keep(rules::upstream(texts), &mut errors)) {
        tenant.upstream = upstream;
    }
    if let Some(billing) = patch.billing.as_ref().and_then(|given| keep_all(rules::party(&tenant.billing, given), &mut errors)) {
        tenant.billing = billing;
    }
    if errors.is_empty() { finish(current, claims, tenant, action, cause) } else { Err(TenancyError::Invalid(errors)) }
}

/// The tenant with a flag on, off or (`None`) without it.
pub fn set_feature(
    current: &Versioned<Tenant>,
    flag: &str,
    value: Option<bool>,
    config: &Config,
    cause: &Cause,
) -> Result<Change, TenancyError> {
    not_deleted(&current.value)?;
    rules::flag(flag, "/enabled", value == Some(true), config).map_err(|error| TenancyError::Invalid(vec![error]))?;
    let mut tenant = current.value.clone();
    let action = if value.is_some() { "feature.set" } else { "feature.removed" };
    match value {
        Some(on) => tenant.config.features.insert(flag.to_owned(), on),
        None => tenant.config.features.remove(flag),
    };
    finish(current, &[], tenant, action, cause)
}

/// Makes the change out of what differs; nothing where nothing does. Another `customDomain` releases the one before.
pub(super) fn finish(
    current: &Versioned<Tenant>,
    claims: &[CustomDomain],
    mut tenant: Tenant,
    action: &str,
    cause: &Cause,
) -> Result<Change, TenancyError> {
    if tenant == current.value {
        return Ok(Change::nothing(current));
    }
    tenant.updated_at = cause.now;
    let (before, after) = differences(&current.value, &tenant);
    let (old, new) = (current.value.custom_domain.clone(), tenant.custom_domain.clone());
    let mut change = Change::update(current, tenant)?;
    if old != new {
        let has = |name: &Host| claims.iter().any(|claim| claim.name == *name);
        // One of several that the tenant has becomes the first; the others stay.
        if !new.as_ref().is_some_and(has) {
            if let Some(old) = old.filter(has) {
                release(&mut change, &old);
            }
            if let Some(new) = new {
                claim(&mut change, new)?;
            }
        }
    }
    change.tx.audit.push(cause.audit(action, current.value.id, Some(before), Some(after)));
    Ok(change)
}

/// The members that differ, as they were and as they are.
fn differences(before: &Tenant, after: &Tenant) -> (Value, Value) {
    let members = |tenant: &Tenant| match serde_json::to_value(tenant) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let (mut before, mut after) = (members(before), members(after));
    after.remove("updatedAt");
    before.remove("updatedAt");
    let same: Vec<String> = after.iter().filter(|(name, value)| before.get(*name) == Some(value)).map(|(name, _)| name.clone()).collect();
    for name in same {
        before.remove(&name);
        after.remove(&name);
    }
    (Value::Object(before), Value::Object(after))
}

fn domain_or_none(text: Option<&str>, pointer: &str, config: &Config) -> Result<Option<Host>, FieldError> {
    text.map(|text| rules::domain(text, pointer, config)).transpose()
}

pub(super) fn not_deleted(tenant: &Tenant) -> Result<(), TenancyError> {
    if tenant.status == Status::Deleted {
        return Err(TenancyError::Transition { from: Status::Deleted, verb: "changed", hint: "; restore it first" });
    }
    Ok(())
}

fn keep<T>(result: Result<T, FieldError>, errors: &mut Vec<FieldError>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}

fn keep_all<T>(result: Result<T, Vec<FieldError>>, errors: &mut Vec<FieldError>) -> Option<T> {
    result.map_err(|found| errors.extend(found)).ok()
}
