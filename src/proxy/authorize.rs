//! Authorize: the tenant is served, the key it shows is one of its own, and the route's policy is met.

use std::sync::Arc;

use http::{Method, Uri};

use super::context::Exchange;
use super::credentials::Presented;
use super::path::readings;
use super::refusal::Refusal;
use super::resolve::{Resolved, WRONG_KEY};
use super::tenant_api::{Question, question};
use crate::config::Route;
use crate::model::{Gauge, Status};
use crate::tenancy::{Facts, TenantRuntime};

/// A request that may be served; made here only.
pub struct Authorized {
    tenant: Arc<TenantRuntime>,
    facts: Arc<Facts>,
    question: Option<Question>,
    counts: Vec<Gauge>,
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

    /// What the tenant API is asked, where the request is for it and not for the app.
    pub fn question(&self) -> Option<Question> {
        self.question
    }
}

/// Decides whether the caller may have what it asks for.
pub fn authorize(exchange: &mut Exchange, resolved: Resolved) -> Result<Authorized, Refusal> {
    let Resolved { tenant, presented, vouched } = resolved;
    let facts = exchange.know(&tenant);
    match facts.tenant.status {
        Status::Trial | Status::Active | Status::PastDue => {}
        Status::Suspended => return Err(Refusal::TenantSuspended),
        Status::Canceled | Status::Deleted => return Err(Refusal::TenantNotFound),
    }
    let roles: &[String] = match &presented {
        Presented::Wrong => return Err(Refusal::Unauthenticated(WRONG_KEY)),
        Presented::Key(key) if key.tenant_id != tenant.id() => {
            return Err(Refusal::TenantMismatch("The API key belongs to another tenant than this host."));
        }
        Presented::Key(key) => &key.roles,
        Presented::Nothing => &[],
    };
    let known = matches!(presented, Presented::Key(_));
    let question = question(exchange.worker.config.tenancy.tenant_api.as_deref(), &exchange.method, exchange.uri.path());
    if question.is_some() && !known && !vouched {
        return Err(Refusal::Unauthenticated(
            "The tenant API needs an API key of the tenant, in `Authorization: Bearer gh_…` or `X-Api-Key`.",
        ));
    }
    let mut counts = Vec::new();
    let policies = routes_of(&exchange.worker.config.routes, &exchange.method, &exchange.uri);
    for route in policies.iter().flatten() {
        obey(route, &facts, known, roles)?;
        counts.extend(route.counts.filter(|gauge| !counts.contains(gauge)));
    }
    if exchange.method == Method::DELETE {
        // What may add by any reading of the path takes one only by all of them.
        counts.retain(|gauge| policies.iter().all(|route| route.is_some_and(|route| route.counts == Some(*gauge))));
    }
    // The tenant API is none of the app's.
    counts.retain(|_| question.is_none());
    Ok(Authorized { tenant, facts, question, counts })
}

/// The policies that hold for a request: for each way to read its path, the first route that fits, if any.
fn routes_of<'r>(routes: &'r [Route], method: &Method, uri: &Uri) -> Vec<Option<&'r Route>> {
    if routes.is_empty() {
        return Vec::new();
    }
    let first = |path: &str| routes.iter().find(|route| fits_method(route, method) && fits_path(route, path));
    readings(uri.path()).iter().map(|path| first(path)).collect()
}

/// An app answers HEAD where it answers GET, and does the same work for it.
fn fits_method(route: &Route, method: &Method) -> bool {
    route.methods.is_empty() || route.methods.contains(method) || (*method == Method::HEAD && route.methods.contains(&Method::GET))
}

/// `/a/*` is for `/a` as well, `/a` for `/a/`, and `/A` for `/a`: some servers take them for the same.
fn fits_path(route: &Route, path: &str) -> bool {
    match route.path.strip_suffix('*') {
        Some(start) => {
            let begins = path.get(..start.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(start));
            begins || start.strip_suffix('/').is_some_and(|whole| path.eq_ignore_ascii_case(whole))
        }
        None => path.trim_end_matches('/').eq_ignore_ascii_case(route.path.trim_end_matches('/')),
    }
}

fn obey(route: &Route, facts: &Facts, known: bool, roles: &[String]) -> Result<(), Refusal> {
    if let Some(feature) = &route.feature
        && !facts.has_feature(feature, None)
    {
        return Err(Refusal::FeatureDisabled(feature.clone()));
    }
    if route.roles.is_empty() || roles.iter().any(|role| route.roles.contains(role)) {
        return Ok(());
    }
    if known { Err(Refusal::Forbidden) } else { Err(Refusal::Unauthenticated("This path needs an API key with one of its roles.")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_route_that_fits_decides_and_spellings_do_not_slip_past() {
        let route = |path: &str, methods: &[Method], feature: &str| Route {
            path: path.to_owned(),
            methods: methods.to_vec(),
            feature: Some(feature.to_owned()),
            roles: Vec::new(),
            counts: None,
        };
        let routes = [route("/a/*", &[Method::GET], "a"), route("/b", &[], "b"), route("/*", &[Method::PUT], "rest")];
        let found = |method: Method, target: &'static str| {
            let routes = routes_of(&routes, &method, &Uri::from_static(target));
            routes.iter().flatten().filter_map(|route| route.feature.clone()).collect::<Vec<_>>()
        };
        for target in ["/a/x", "/a", "/a/", "//a//x", "/./a/x", "/x/../a/y", "/%61/x", "/a%2fx", "/a;v=1/x", "/A/x", "/a/x/../../b"] {
            assert!(found(Method::GET, target).contains(&"a".to_owned()), "{target}");
        }
        for target in ["/b", "/b/", "//b//", "/B"] {
            assert!(found(Method::POST, target).contains(&"b".to_owned()), "{target}");
        }
        assert_eq!(found(Method::HEAD, "/a/x"), ["a"]);
        assert_eq!(found(Method::PUT, "/a/x"), ["rest"]);
        for target in ["/ab", "/", "/c/a/x"] {
            assert!(found(Method::GET, target).is_empty(), "{target}");
        }
        assert_eq!(found(Method::GET, "/a/../b"), ["a", "b"], "each reading has a policy of its own");
    }
}
