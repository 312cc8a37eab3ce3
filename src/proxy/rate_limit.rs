//! The field `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11): what is left of the burst and of the day, and for how
//! long. Its companion `RateLimit-Policy` is made when the tenant changes.

use super::refusal::seconds_until;
use crate::limits::RateDecision;
use crate::model::Millis;
use crate::tenancy::Facts;

/// What is left, as far as the plan has such limits and the numbers are known.
#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    burst: Option<Left>,
    day: Option<Left>,
}

/// Of one limit.
#[derive(Debug, Clone, Copy)]
struct Left {
    requests: u64,
    seconds: u64,
}

impl RateLimit {
    /// None where the plan has no limit that there is something to say of.
    pub fn of(facts: &Facts, rate: Option<RateDecision>, calls_left: Option<u64>, now: Millis) -> Option<Self> {
        let burst = rate.zip(facts.plan.rate).map(|(decision, rate)| {
            let missing = rate.burst.saturating_sub(decision.remaining);
            let refill = u64::from(missing.div_ceil(rate.per_second.max(1)));
            let wait = decision.retry_after.as_millis().div_ceil(1000) as u64;
            Left { requests: u64::from(decision.remaining), seconds: refill.max(wait).max(1) }
        });
        let calls_left = calls_left.filter(|_| facts.calls_per_day.is_some());
        let day = calls_left.map(|requests| Left { requests, seconds: seconds_until(now.day().next().start(), now) });
        (burst.is_some() || day.is_some()).then_some(Self { burst, day })
    }

    /// Writes `"burst";r=…;t=…, "day";r=…;t=…`.
    pub fn write(self, out: &mut Vec<u8>) {
        let mut between: &[u8] = b"";
        for (name, left) in [(&b"\"burst\";r="[..], self.burst), (&b"\"day\";r="[..], self.day)] {
            let Some(Left { requests, seconds }) = left else { continue };
            let mut digits = itoa::Buffer::new();
            out.extend_from_slice(between);
            out.extend_from_slice(name);
            out.extend_from_slice(digits.format(requests).as_bytes());
            out.extend_from_slice(b";t=");
            out.extend_from_slice(digits.format(seconds).as_bytes());
            between = b", ";
        }
    }
}
