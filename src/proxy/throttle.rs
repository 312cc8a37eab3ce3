//! Throttle: the plan's requests in flight, the rates of the request's routes, and the plan's rate.

use super::authorize::Authorized;
use super::refusal::Refusal;
use crate::limits::{InFlight, RateDecision};

/// A request within its rate; made here only.
pub struct Throttled {
    authorized: Authorized,
    rate: Option<RateDecision>,
    in_flight: Option<InFlight>,
}

impl Throttled {
    /// Hands on what was decided.
    pub fn into_parts(self) -> (Authorized, Option<RateDecision>, Option<InFlight>) {
        (self.authorized, self.rate, self.in_flight)
    }
}

/// Takes a place in flight, then one of each route's rate, then one of the plan's: a refusal costs nothing of what follows.
pub fn throttle(authorized: Authorized) -> Result<Throttled, Refusal> {
    let (tenant, plan) = (authorized.tenant(), &authorized.facts().plan);
    let in_flight = match plan.concurrency {
        None => None,
        max => Some(tenant.concurrency().enter(max).ok_or(Refusal::TooManyConcurrent)?),
    };
    for (place, rate) in authorized.rates() {
        let decision = tenant.ask_route_rate(*place, *rate);
        if !decision.allowed {
            return Err(Refusal::RouteRateLimited(decision));
        }
    }
    let rate = plan.rate.map(|rate| tenant.ask_rate(rate));
    match rate {
        Some(decision) if !decision.allowed => Err(Refusal::RateLimited(decision)),
        _ => Ok(Throttled { authorized, rate, in_flight }),
    }
}
