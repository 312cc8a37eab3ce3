//! Authorize: the tenant is served, the key or token it shows is one of its own, and the route's policy is met.

use std::rc::Rc;
use std::sync::Arc;

use super::admit::declared_length;
use super::context::Exchange;
use super::credentials::Presented;
use super::refusal::Refusal;
use super::resolve::Resolved;
use super::tenant_api::{Question, question};
use crate::access::policies;
use crate::config::Route;
use crate::message::Fields;
use crate::model::{Gauge, Rate, Status};
use crate::tenancy::{Facts, TenantRuntime};

/// A request that may be served; made here only.
pub struct Authorized {
    tenant: Arc<TenantRuntime>,
    facts: Arc<Facts>,
    question: Option<Question>,
    counts: Vec<Gauge>,
    rates: Vec<(usize, Rate)>,
}

impl Authorized {
    /// Whose request it is.
    pub fn tenant(&self) -> &Arc<TenantRuntime> {
        &self.tenant
    }

    /// The tenant's facts, the same for all that follows.
    pub fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// What the routes of the request count.
    pub fn counts(&self) -> &[Gauge] {
        &self.counts
    }

    /// Rates of its routes, with the places of these.
    pub fn rates(&self) -> &[(usize, Rate)] {
        &self.rates
    }

    /// What the tenant API is asked, where the request is for it and not for the app.
    pub fn question(&self) -> Option<Question> {
        self.question
    }
}

/// Who is asking, as far as it is known.
struct Caller<'p> {
    is_known: bool,
    user: Option<&'p str>,
    roles: &'p [String],
    scopes: &'p [String],
}

/// Decides whether the caller may have what it asks for.
pub fn authorize(exchange: &mut Exchange, fields: &Fields, resolved: Resolved) -> Result<Authorized, Refusal> {
    let Resolved { tenant, presented, vouched } = resolved;
    let facts = exchange.know(&tenant);
    match facts.tenant.status {
        Status::Trial | Status::Active | Status::PastDue => {}
        Status::Suspended => return Err(Refusal::TenantSuspended),
        Status::Canceled | Status::Deleted => return Err(Refusal::TenantNotFound),
    }
    let caller = identify(exchange, &facts, &presented)?;
    let question = question(exchange.worker.config.tenancy.tenant_api.as_deref(), &exchange.method, exchange.uri.path());
    if question.is_some() && !caller.is_known && !vouched {
        return Err(Refusal::Unauthenticated(
            "The tenant API needs an API key of the tenant, in `Authorization: Bearer gh_…` or `X-Api-Key`, or a token of one of its users.",
        ));
    }
    let worker = Rc::clone(&exchange.worker);
    let policies = policies(&worker.config.routes, &exchange.method, exchange.uri.path());
    let (mut counts, mut rates) = (Vec::new(), Vec::new());
    for (place, route) in policies.iter().flatten() {
        obey(route, &facts, &caller)?;
        counts.extend(route.counts.filter(|gauge| !counts.contains(gauge)));
        rates.extend(route.rate.map(|rate| (*place, rate)).filter(|rate| !rates.contains(rate)));
        exchange.max_body = exchange.max_body.min(route.max_body.unwrap_or(u64::MAX));
    }
    if exchange.max_body < worker.config.limits.max_body {
        check_length(exchange, fields)?;
    }
    if !counts.is_empty() && exchange.method.as_str().eq_ignore_ascii_case("DELETE") {
        // What may add by any reading of the path takes one only by all of them.
        counts.retain(|gauge| policies.iter().all(|route| route.is_some_and(|(_, route)| route.counts == Some(*gauge))));
    }
    // The tenant API is none of the app's.
    counts.retain(|_| question.is_none());
    Ok(Authorized { tenant, facts, question, counts, rates })
}

/// Who is asking. A credential that is good for another tenant only is no credential here.
fn identify<'p>(exchange: &mut Exchange, facts: &Facts, presented: &'p Presented) -> Result<Caller<'p>, Refusal> {
    match presented {
        Presented::Nothing => Ok(Caller { is_known: false, user: None, roles: &[], scopes: &[] }),
        Presented::Wrong(detail) => Err(Refusal::Unauthenticated(detail)),
        Presented::Key(entry) if entry.key.tenant_id != facts.tenant.id => {
            Err(Refusal::TenantMismatch("The API key belongs to another tenant than this host."))
        }
        Presented::Key(entry) => {
            entry.note(exchange.time);
            Ok(Caller { is_known: true, user: None, roles: &entry.key.roles, scopes: &entry.key.scopes })
        }
        Presented::User(user) => {
            let is_here = |name: &str| name == facts.labels().id_text || name == facts.tenant.slug.as_str();
            if user.said.tenant.as_deref().is_some_and(|name| !is_here(name)) {
                return Err(Refusal::TenantMismatch("The token belongs to another tenant than this host."));
            }
            exchange.user = Some(Arc::clone(user));
            Ok(Caller { is_known: true, user: Some(&user.said.user), roles: &user.said.roles, scopes: &user.said.scopes })
        }
    }
}

/// A body that says that it is larger than the route takes is not waited for.
fn check_length(exchange: &Exchange, fields: &Fields) -> Result<(), Refusal> {
    let limit = exchange.max_body;
    if declared_length(fields).is_some_and(|length| length > limit) { Err(Refusal::BodyTooLarge { limit }) } else { Ok(()) }
}

/// What a route asks for of who is asking and of the tenant; the first that is missing is told.
fn obey(route: &Route, facts: &Facts, caller: &Caller<'_>) -> Result<(), Refusal> {
    if route.needs_auth && !caller.is_known {
        return Err(Refusal::Unauthenticated("This path needs an API key of the tenant or a token of one of its users."));
    }
    if let Some(feature) = &route.feature
        && !facts.has_feature(feature, caller.user)
    {
        return Err(Refusal::FeatureDisabled(feature.clone()));
    }
    if !route.plans.is_empty() && !route.plans.contains(&facts.plan.name) {
        return Err(Refusal::PlanExcluded(route.plans.join(", ")));
    }
    if !route.roles.is_empty() && !caller.roles.iter().any(|role| route.roles.contains(role)) {
        return Err(Refusal::Forbidden);
    }
    match route.scopes.iter().find(|scope| !caller.scopes.contains(scope)) {
        Some(missing) => Err(Refusal::ScopeMissing(missing.clone())),
        None => Ok(()),
    }
}
