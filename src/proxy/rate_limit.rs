//! The field `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11): what is left of the burst and of the day, and for how
//! long. Its companion `RateLimit-Policy` is made when the tenant changes.

use super::refusal::seconds_until;
use crate::limits::RateDecision;
use crate::model::Millis;
use crate::tenancy::Facts;

/// `"burst";r=…;t=…, "day";r=…;t=…` as far as the plan has such limits and the numbers are known.
pub fn rate_limit(facts: &Facts, rate: Option<RateDecision>, calls_left: Option<u64>, now: Millis) -> Option<String> {
    let burst = rate.zip(facts.plan.rate);
    let day = calls_left.filter(|_| facts.calls_per_day.is_some());
    if burst.is_none() && day.is_none() {
        return None;
    }
    let mut text = String::with_capacity(56);
    if let Some((decision, rate)) = burst {
        let missing = rate.burst.saturating_sub(decision.remaining);
        let refill = u64::from(missing.div_ceil(rate.per_second.max(1)));
        let wait = decision.retry_after.as_millis().div_ceil(1000) as u64;
        item(&mut text, "\"burst\"", u64::from(decision.remaining), refill.max(wait).max(1));
    }
    if let Some(left) = day {
        item(&mut text, "\"day\"", left, seconds_until(now.day().next().start(), now));
    }
    Some(text)
}

fn item(text: &mut String, name: &str, left: u64, seconds: u64) {
    if !text.is_empty() {
        text.push_str(", ");
    }
    let mut digits = itoa::Buffer::new();
    text.push_str(name);
    text.push_str(";r=");
    text.push_str(digits.format(left));
    text.push_str(";t=");
    text.push_str(digits.format(seconds));
}
