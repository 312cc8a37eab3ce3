//! When a domain is looked at next, and when its certificate is ordered or renewed: pure functions, with the chance passed in.

use std::time::Duration;

use crate::model::{CustomDomain, Millis};
use crate::tls::{RenewalWindow, Standing};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Certificates that live shorter are renewed at half of their life, others when a third is left.
const SHORT_LIVED: i64 = 10 * DAY;

/// After a look that found something in the way: soon at first, then ever less often, as the claim (or the proof that is gone)
/// grows old. `chance` is from 0 to 1.
pub(super) fn next_look(found: &CustomDomain, now: Millis, chance: f64) -> Millis {
    let since = found.missing_since.unwrap_or(found.claimed_at);
    let wait = ((now.0 - since.0) / 10).clamp(15 * SECOND, 6 * HOUR);
    Millis(now.0 + spread(wait, 0.25, chance))
}

/// After one that found nothing: after `recheck`, or when the certificate is to be renewed.
pub(super) fn recheck(found: &CustomDomain, now: Millis, recheck: Duration, chance: f64) -> Millis {
    let wait = i64::try_from(recheck.as_millis()).unwrap_or(DAY);
    let next = Millis(now.0 + spread(wait, 0.1, chance));
    found.renew_at.map_or(next, |renew_at| next.min(renew_at.max(now)))
}

/// The order after `failed` that failed in a row: a minute after the first, then twice as long each time, up to half a day.
pub(in crate::tenancy) fn next_order(failed: u32, least: Duration, now: Millis, chance: f64) -> Millis {
    let wait = MINUTE.saturating_mul(1 << failed.saturating_sub(1).min(20)).min(12 * HOUR);
    Millis(now.0 + spread(wait, 0.25, chance)).max(now.plus(least))
}

/// When a certificate is renewed, and when its authority is asked about that again.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::tenancy) struct Renewal {
    pub at: Option<Millis>,
    pub ask_at: Option<Millis>,
}

impl Renewal {
    /// Whether it is time to ask the authority.
    pub(in crate::tenancy) fn is_to_be_asked_about(&self, now: Millis) -> bool {
        self.ask_at.is_none_or(|at| at <= now)
    }

    /// Follows what the authority says: a moment in its window (RFC 9773, section 4.2), chosen once. One that says nothing else for
    /// years is asked all the same.
    pub(in crate::tenancy) fn follow(&mut self, window: RenewalWindow, now: Millis, chance: f64) {
        let RenewalWindow { start, end, ask_at } = window;
        self.ask_at = Some(ask_at.min(now.plus_days(1)));
        if self.at.is_none_or(|at| at > end || at < start) {
            self.at = Some(Millis(start.0 + ((end.0 - start.0).max(0) as f64 * chance) as i64));
        }
    }

    /// The moment: as it is planned, else by a fraction of the certificate's life; and whatever the authority says, when a tenth of
    /// that is left.
    pub(in crate::tenancy) fn plan(&mut self, certificate: Standing, chance: f64) -> Millis {
        let (from, until) = (certificate.not_before, certificate.not_after);
        let latest = Millis(until.0 - (until.0 - from.0).max(0) / 10);
        let at = self.at.unwrap_or_else(|| by_life(from, until, chance)).min(latest);
        self.at = Some(at);
        at
    }
}

/// By a fraction of the certificate's life, whatever that is; spread over a twentieth of it.
fn by_life(not_before: Millis, not_after: Millis, chance: f64) -> Millis {
    let life = (not_after.0 - not_before.0).max(0);
    let at = if life < SHORT_LIVED { life / 2 } else { life / 3 * 2 };
    Millis(not_before.0 + at + (life as f64 / 20.0 * chance) as i64)
}

/// `wait`, more or less by so large a part of it.
fn spread(wait: i64, part: f64, chance: f64) -> i64 {
    (wait as f64 * (1.0 + part * (2.0 * chance - 1.0))) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_that_fail_wait_twice_as_long_each_time_up_to_half_a_day() {
        let waits: Vec<i64> = (1..15).map(|failed| next_order(failed, Duration::ZERO, Millis(0), 0.5).0).collect();
        assert_eq!(&waits[..4], [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE]);
        assert_eq!(waits[13], 12 * HOUR);
        assert_eq!(next_order(1, Duration::from_secs(3600), Millis(0), 0.5).0, HOUR, "an authority that asks to wait is left alone");
        assert!(
            next_order(1, Duration::ZERO, Millis(0), 0.0).0 >= 45 * SECOND
                && next_order(1, Duration::ZERO, Millis(0), 1.0).0 <= 75 * SECOND
        );
    }

    #[test]
    fn renewal_follows_the_life_of_the_certificate() {
        let at = |days: i64, chance| by_life(Millis(0), Millis(days * DAY), chance).0;
        assert_eq!((at(90, 0.0), at(6, 0.0)), (60 * DAY, 3 * DAY));
        assert!(at(90, 1.0) < 65 * DAY && at(90, 1.0) > at(90, 0.5));
    }
}
