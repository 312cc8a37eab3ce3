//! Counting: a route may stand for users or projects of an app that knows nothing of plans. A POST holds a place while the app
//! is asked and takes it when the app answers 2xx; a DELETE that succeeds leaves one. A route that stands for storage refuses
//! writes at the limit.
//!
//! The place is asked for and held in one step, so that two requests for the last one give exactly one.

use http::{Method, StatusCode};

use super::authorize::Authorized;
use super::context::Exchange;
use super::refusal::{PlanLimit, Refusal};
use super::reports::Reported;
use crate::config::Config;
use crate::model::{Gauge, Plan};
use crate::tenancy::{GaugeFull, HeldPlace, Shift, TenantRuntime};

/// What the app's answer decides.
pub struct Counting {
    held: Vec<HeldPlace>,
    leaving: Vec<Gauge>,
}

impl Counting {
    /// Holds the places that the request would take; `None` where it can change nothing that is counted. A write to storage holds
    /// none, but the app may report it in its answer.
    pub fn begin(exchange: &Exchange, authorized: &Authorized) -> Result<Option<Box<Self>>, Refusal> {
        if authorized.counts().is_empty() {
            return Ok(None);
        }
        let mut counting = Self { held: Vec::new(), leaving: Vec::new() };
        let mut is_nothing = true;
        let method = known(&exchange.method);
        for gauge in authorized.counts() {
            match (*gauge, &method) {
                (Gauge::Storage, method) if is_write(method) => check_storage(exchange, authorized)?,
                (Gauge::Storage, &Method::DELETE) => {}
                (Gauge::Users | Gauge::Projects, &Method::POST) => {
                    let limit = authorized.facts().plan.most_of(*gauge);
                    let place = authorized.tenant().gauges(exchange.time).hold(*gauge, limit);
                    counting.held.push(place.map_err(|full| refusal(full, &authorized.facts().plan, &exchange.worker.config))?);
                }
                (Gauge::Users | Gauge::Projects, &Method::DELETE) => counting.leaving.push(*gauge),
                _ => continue,
            }
            is_nothing = false;
        }
        Ok((!is_nothing).then(|| Box::new(counting)))
    }

    /// The app has answered. What it reported of a gauge itself is the truth, and is not counted once more.
    pub fn settle(self, exchange: &Exchange, tenant: &TenantRuntime, status: StatusCode, reported: &Reported) {
        if !status.is_success() {
            return;
        }
        let (journal, now) = (&exchange.worker.journal, exchange.worker.clock.now());
        for place in self.held {
            if !reported.has(place.gauge()) {
                place.take(journal, tenant.at(now));
            }
        }
        for gauge in self.leaving.into_iter().filter(|gauge| !reported.has(*gauge)) {
            // Without a key it cannot fail.
            let _ = tenant.gauges(now).report(journal, (gauge, Shift::By(-1)), tenant.at(now), None);
        }
    }
}

/// The method as an app may take it that does not look at case.
fn known(method: &Method) -> Method {
    let known = [Method::POST, Method::DELETE, Method::GET, Method::HEAD, Method::OPTIONS];
    known.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(method.as_str())).unwrap_or_else(|| method.clone())
}

/// Whether a request may add to what is stored. DELETE makes room.
fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE)
}

fn check_storage(exchange: &Exchange, authorized: &Authorized) -> Result<(), Refusal> {
    let Some(limit) = authorized.facts().plan.most_of(Gauge::Storage) else { return Ok(()) };
    let used = authorized.tenant().gauges_if_any().map_or(0, |gauges| gauges.levels().storage);
    if used < limit {
        return Ok(());
    }
    Err(refusal(GaugeFull { gauge: Gauge::Storage, limit, used }, &authorized.facts().plan, &exchange.worker.config))
}

fn refusal(full: GaugeFull, current: &Plan, config: &Config) -> Refusal {
    let GaugeFull { gauge, limit, used } = full;
    let allows = |plan: &&Plan| plan.price_monthly >= current.price_monthly && plan.most_of(gauge).is_none_or(|most| most > used);
    let plan = config.plans.values().filter(allows).min_by_key(|plan| (plan.price_monthly, plan.name.clone()));
    Refusal::PlanLimitReached(Box::new(PlanLimit { gauge, limit, used, plan: plan.map(|plan| plan.name.clone()) }))
}
