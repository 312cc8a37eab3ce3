//! How things look in JSON: what seed clients read, with more members beside.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::AdminState;
use crate::model::subscription::Bought;
use crate::model::{
    AddOn, ApiKey, BillingCycle, Host, KeyId, KeyMode, Limits, Millis, Money, Party, Plan, Status, Subscription, Tenant, TenantConfig,
    TenantId,
};
use crate::tenancy::Change;

/// Domains that are shown with their tenant.
const SHOWN_DOMAINS: usize = 100;

/// A tenant. Times are epoch milliseconds; a limit of `null` is unlimited.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Tenant)]
pub struct TenantView {
    /// For ever.
    #[schema(value_type = String, example = "tenant_0193a5c8f3e07b2c9d1e4f5a6b7c8d9e")]
    pub id: TenantId,
    /// What people call it.
    pub name: String,
    /// Its label under the base domain.
    pub slug: String,
    /// `trial`, `active`, `past_due`, `suspended`, `canceled` or `deleted`.
    #[schema(value_type = String, example = "trial")]
    pub status: Status,
    /// Why the last move was made.
    pub status_reason: Option<String>,
    /// Name of its plan.
    pub plan: String,
    /// `monthly` or `yearly`.
    #[schema(value_type = String, example = "monthly")]
    pub billing_cycle: BillingCycle,
    /// The version of the plan.
    pub plan_version: u32,
    /// What it has bought besides: `{name, title, quantity, priceMonthly, priceYearly, adds}`, prices also as `…Minor`.
    #[schema(value_type = Vec<Object>)]
    pub add_ons: Value,
    /// What was agreed with it alone: `{priceMonthlyMinor, priceYearlyMinor, limits}`.
    #[schema(value_type = Option<Object>)]
    pub overrides: Value,
    /// When the period that runs began.
    pub current_period_start: Option<i64>,
    /// When the period that runs ends, and the next one begins.
    pub current_period_end: Option<i64>,
    /// The same under the name that seed clients read.
    pub subscription_ends_at: Option<i64>,
    /// It ends then.
    pub cancel_at_period_end: bool,
    /// What changes, and when: `{plan, planVersion, billingCycle, addOns, effectiveAt, awaitsPayment}`.
    #[schema(value_type = Option<Object>)]
    pub pending_change: Value,
    /// What is due to it, taken off its next invoices; below zero, what was too little to be charged and comes with the next one.
    pub credit: f64,
    /// The same in minor units.
    pub credit_minor: i64,
    /// Of all its amounts, ISO 4217.
    pub currency: String,
    /// What it owes.
    pub amount_due: f64,
    /// The same in minor units.
    pub amount_due_minor: i64,
    /// Whom its invoices are issued to.
    #[schema(value_type = Object)]
    pub billing: Party,
    /// What the payment provider collects from, as people know it.
    pub payment_method: Option<String>,
    /// Its own domain, or the first of them, verified or not.
    #[schema(value_type = Option<String>)]
    pub custom_domain: Option<Host>,
    /// Its domains, at most 100 of them; `/admin/tenants/{id}/domains` has all, with their state.
    pub domains: Vec<DomainBrief>,
    /// Branding, features and settings.
    #[schema(value_type = Object)]
    pub config: TenantConfig,
    /// What its plan allows; `null` where the plan is no longer in the configuration.
    pub limits: Option<LimitsView>,
    /// What the operator keeps with it.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// One URL, a list, or `null` for the default upstream.
    pub upstream: Option<OneOrMany>,
    /// When it was made.
    #[schema(value_type = i64)]
    pub created_at: Millis,
    /// When it last changed.
    #[schema(value_type = i64)]
    pub updated_at: Millis,
    /// When its trial ends, or ended.
    #[schema(value_type = Option<i64>)]
    pub trial_ends_at: Option<Millis>,
    /// When it was deleted.
    #[schema(value_type = Option<i64>)]
    pub deleted_at: Option<Millis>,
}

/// One text or several.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a URL or a list of URLs")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// As a list.
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

/// What a plan allows; `null` is unlimited.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Limits)]
pub struct LimitsView {
    /// Users of the app.
    pub max_users: Option<u64>,
    /// Projects of the app.
    pub max_projects: Option<u64>,
    /// Bytes stored.
    pub max_storage: Option<u64>,
    /// API calls per UTC day.
    pub max_api_calls: Option<u64>,
    /// Response body bytes per UTC month.
    pub max_bandwidth: Option<u64>,
}

/// A domain of a tenant, in short.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainBrief {
    /// The name.
    pub domain: String,
    /// Whether it is proved; only then requests to it find the tenant.
    pub verified: bool,
}

/// An API key without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApiKey)]
pub struct KeyView {
    /// Its name in lists and in the audit log.
    #[schema(value_type = String)]
    pub id: KeyId,
    /// Whose it is.
    #[schema(value_type = String)]
    pub tenant_id: TenantId,
    /// What its owner calls it.
    pub name: String,
    /// What it is for: `live` or `test`.
    #[schema(value_type = String)]
    pub mode: KeyMode,
    /// The first characters of the secret.
    pub prefix: String,
    /// Its last four characters.
    pub last_four: Option<String>,
    /// Roles that a request with it has.
    pub roles: Vec<String>,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// When it was made.
    #[schema(value_type = i64)]
    pub created_at: Millis,
    /// From when on it is refused.
    #[schema(value_type = Option<i64>)]
    pub expires_at: Option<Millis>,
    /// When it was last used, to the second; up to a minute of that is lost where the process is killed.
    #[schema(value_type = Option<i64>)]
    pub last_used_at: Option<Millis>,
    /// The key in whose place it was issued.
    #[schema(value_type = Option<String>)]
    pub rotated_from: Option<KeyId>,
    /// The key itself, in the answer that made it and nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// An error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub struct ProblemView {
    /// Names the kind.
    pub r#type: String,
    /// Short text.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened and what to do.
    pub detail: String,
    /// For programs.
    pub code: String,
    /// Short text.
    pub error: String,
    /// The request's id, as in `X-Request-Id`.
    pub request_id: String,
    /// With 409 and 422: `{pointer, code, detail}` for each wrong member.
    #[schema(value_type = Option<Vec<Object>>)]
    pub errors: Option<Vec<Value>>,
}

impl AdminState {
    /// A tenant as JSON.
    pub fn tenant_json(&self, tenant: &Tenant) -> Value {
        let shown = self.tenants.directory.domains_of(tenant.id).into_iter();
        let briefs = shown.map(|(domain, verified)| DomainBrief { domain: domain.into(), verified }).take(SHOWN_DOMAINS).collect();
        self.json_with(tenant, briefs)
    }

    /// A tenant as it will be after a change.
    pub fn changed_json(&self, change: &Change) -> Value {
        let tenant = &change.tenant;
        let shown = self.tenants.directory.domains_of(tenant.id).into_iter();
        let kept = shown.filter(|(domain, _)| change.domains.iter().all(|changed| changed.as_str() != &**domain));
        let claimed = change.domains.iter().filter(|name| change.claims_domain(name));
        let claimed = claimed.map(|name| (name.as_str().into(), self.tenants.directory.proves(name.as_str())));
        let briefs = kept.chain(claimed).map(|(domain, verified)| DomainBrief { domain: domain.into(), verified });
        let mut briefs: Vec<DomainBrief> = briefs.collect();
        briefs.sort_by(|one, other| one.domain.cmp(&other.domain));
        briefs.truncate(SHOWN_DOMAINS);
        self.json_with(tenant, briefs)
    }

    fn json_with(&self, tenant: &Tenant, domains: Vec<DomainBrief>) -> Value {
        let mut upstream: Vec<String> = tenant.upstream.iter().map(ToString::to_string).collect();
        let subscription = &tenant.subscription;
        let period = subscription.period.as_ref().filter(|_| tenant.status.is_served() || tenant.status == Status::Suspended);
        let owed: Money = subscription.open.iter().map(|owed| owed.due).sum();
        let currency = self.config.billing.currency.as_str();
        let view = TenantView {
            id: tenant.id,
            name: tenant.name.clone(),
            slug: tenant.slug.to_string(),
            status: tenant.status,
            status_reason: tenant.status_reason.clone(),
            plan: tenant.plan.clone(),
            billing_cycle: tenant.billing_cycle,
            plan_version: subscription.plan_version,
            add_ons: add_ons(&subscription.add_ons, currency),
            overrides: serde_json::json!(subscription.overrides),
            current_period_start: period.map(|period| period.span.start.0),
            current_period_end: period.map(|period| period.span.end.0),
            subscription_ends_at: period.map(|period| period.span.end.0),
            cancel_at_period_end: subscription.cancel_at_period_end,
            pending_change: pending(subscription, currency),
            credit: subscription.credit.major(currency),
            credit_minor: subscription.credit.0,
            currency: currency.to_owned(),
            amount_due: owed.major(currency),
            amount_due_minor: owed.0,
            billing: tenant.billing.clone(),
            payment_method: subscription.payer.as_ref().and_then(|payer| payer.shown.clone()),
            custom_domain: tenant.custom_domain.clone(),
            domains,
            config: tenant.config.clone(),
            limits: self.plan_of(tenant).map(|plan| limits(&plan.limits)),
            metadata: tenant.metadata.clone(),
            upstream: match upstream.len() {
                0 => None,
                1 => upstream.pop().map(OneOrMany::One),
                _ => Some(OneOrMany::Many(upstream)),
            },
            created_at: tenant.created_at,
            updated_at: tenant.updated_at,
            trial_ends_at: tenant.trial_ends_at,
            deleted_at: tenant.deleted_at,
        };
        json_of(&view)
    }

    /// The plan of a tenant, with what was agreed and bought besides.
    pub fn plan_of(&self, tenant: &Tenant) -> Option<Plan> {
        let terms = tenant.terms();
        self.tenants.plans.of(&terms).map(|plan| terms.applied_to(&plan))
    }
}

/// Add-ons that a tenant has, at its prices.
fn add_ons(bought: &[Bought], currency: &str) -> Value {
    let one = |bought: &Bought| {
        let AddOn { name, title, price_monthly, price_yearly, adds } = &bought.add_on;
        serde_json::json!({
            "name": name, "title": title, "quantity": bought.quantity,
            "priceMonthly": price_monthly.major(currency), "priceMonthlyMinor": price_monthly,
            "priceYearly": price_yearly.major(currency), "priceYearlyMinor": price_yearly, "adds": adds,
        })
    };
    bought.iter().map(one).collect()
}

/// What changes with the next period, or once it is paid.
fn pending(subscription: &Subscription, currency: &str) -> Value {
    let (terms, awaits) = match (&subscription.awaiting, &subscription.pending) {
        (Some(awaiting), _) => (&awaiting.terms, true),
        (None, Some(terms)) => (terms, false),
        (None, None) => return Value::Null,
    };
    let end = subscription.period.as_ref().map(|period| period.span.end).filter(|_| !awaits);
    serde_json::json!({
        "plan": terms.plan, "planVersion": terms.plan_version, "billingCycle": terms.billing_cycle, "addOns": add_ons(&terms.add_ons, currency),
        "overrides": terms.overrides, "effectiveAt": end, "awaitsPayment": awaits,
    })
}

/// Limits as JSON writes them.
pub const fn limits(limits: &Limits) -> LimitsView {
    LimitsView {
        max_users: limits.max_users,
        max_projects: limits.max_projects,
        max_storage: limits.max_storage,
        max_api_calls: limits.max_api_calls,
        max_bandwidth: limits.max_bandwidth,
    }
}

/// A key as JSON writes it.
pub fn key_view(key: &ApiKey, last_used_at: Option<Millis>, secret: Option<String>) -> KeyView {
    KeyView {
        id: key.id,
        tenant_id: key.tenant_id,
        name: key.name.clone(),
        mode: key.mode(),
        prefix: key.prefix.clone(),
        last_four: key.last_four.clone(),
        roles: key.roles.clone(),
        scopes: key.scopes.clone(),
        created_at: key.created_at,
        expires_at: key.expires_at,
        last_used_at,
        rotated_from: key.rotated_from,
        secret,
    }
}

/// Any view as a JSON value; views hold text, numbers and maps with text keys, which cannot fail.
pub fn json_of<T: Serialize>(view: &T) -> Value {
    serde_json::to_value(view).unwrap_or(Value::Null)
}

/// `{"data": […], "nextCursor": …}`.
pub fn page_json(data: Vec<Value>, next: Option<String>) -> Value {
    serde_json::json!({"data": data, "nextCursor": next})
}
