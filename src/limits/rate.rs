//! The rate: one token bucket (GCRA) for one tenant; asking takes.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::model::Rate;

/// One limiter. A change of its rate takes a new one, with a full bucket.
pub struct RateLimit<C: Clock = OneClock> {
    rate: Rate,
    limiter: RateLimiter<NotKeyed, InMemoryState, C, StateInformationMiddleware>,
}

/// What the limiter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateDecision {
    /// The request may go on.
    pub allowed: bool,
    /// Requests left at once.
    pub remaining: u32,
    /// Until the next request would be allowed; zero where this one was, and only there.
    pub retry_after: Duration,
}

/// The clock of all limiters. Each of its own would have to find out what the processor can do, and keep what it found.
#[derive(Debug, Clone, Copy, Default)]
pub struct OneClock;

impl Clock for OneClock {
    type Instant = <DefaultClock as Clock>::Instant;

    fn now(&self) -> Self::Instant {
        static CLOCK: LazyLock<DefaultClock> = LazyLock::new(DefaultClock::default);
        CLOCK.now()
    }
}

impl RateLimit {
    /// A full bucket.
    pub fn new(rate: Rate) -> Self {
        Self::with_clock(rate, OneClock)
    }
}

impl<C: Clock> RateLimit<C> {
    fn with_clock(rate: Rate, clock: C) -> Self {
        let at_least_one = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(rate.per_second)).allow_burst(at_least_one(rate.burst));
        let limiter = RateLimiter::direct_with_clock(quota, clock).with_middleware();
        Self { rate, limiter }
    }

    /// The rate it was made for.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Asks and takes.
    pub fn check(&self) -> RateDecision {
        match self.limiter.check() {
            Ok(state) => RateDecision { allowed: true, remaining: state.remaining_burst_capacity(), retry_after: Duration::ZERO },
            Err(until) => {
                // The moment may have come since the decision; it was a refusal all the same.
                let retry_after = until.wait_time_from(self.limiter.clock().now()).max(Duration::from_nanos(1));
                RateDecision { allowed: false, remaining: 0, retry_after }
            }
        }
    }
}

impl<C: Clock> fmt::Debug for RateLimit<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("rate", &self.rate).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::thread;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn allowed(remaining: u32) -> RateDecision {
        RateDecision { allowed: true, remaining, retry_after: Duration::ZERO }
    }

    fn refused(millis: u64) -> RateDecision {
        RateDecision { allowed: false, remaining: 0, retry_after: Duration::from_millis(millis) }
    }

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate_holds() {
        let clock = FakeRelativeClock::default();
        let limit = RateLimit::with_clock(Rate { per_second: 10, burst: 3 }, clock.clone());
        assert_eq!([limit.check(), limit.check(), limit.check()], [allowed(2), allowed(1), allowed(0)]);
        assert_eq!(limit.check(), refused(100));
        clock.advance(Duration::from_millis(99));
        assert_eq!(limit.check(), refused(1), "a refusal takes nothing");
        clock.advance(Duration::from_millis(1));
        assert_eq!([limit.check(), limit.check()], [allowed(0), refused(100)]);
    }

    #[test]
    fn a_bucket_fills_up_to_its_burst_and_no_further() {
        let clock = FakeRelativeClock::default();
        let limit = RateLimit::with_clock(Rate { per_second: 1, burst: 2 }, clock.clone());
        clock.advance(Duration::from_secs(3600));
        assert_eq!([limit.check(), limit.check(), limit.check()], [allowed(1), allowed(0), refused(1_000)]);
    }

    #[test]
    fn the_ends_of_the_range_work() {
        let largest = RateLimit::new(Rate { per_second: u32::MAX, burst: u32::MAX });
        assert!(largest.check().allowed && largest.check().remaining >= u32::MAX - 2);
        let slow = RateLimit::with_clock(Rate { per_second: 1, burst: u32::MAX }, FakeRelativeClock::default());
        assert_eq!(slow.check(), allowed(u32::MAX - 1));
        let none = RateLimit::with_clock(Rate { per_second: 0, burst: 0 }, FakeRelativeClock::default());
        assert_eq!([none.check(), none.check()], [allowed(0), refused(1_000)], "read as one a second");
    }

    #[test]
    fn threads_together_get_the_burst_exactly() {
        let limit = RateLimit::with_clock(Rate { per_second: 1, burst: 1_000 }, FakeRelativeClock::default());
        let passed: usize = thread::scope(|scope| {
            let ask = || (0..500).filter(|_| limit.check().allowed).count();
            let all: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 1_000);
    }

    #[test]
    fn the_real_clock_says_when_to_come_back() {
        let limit = RateLimit::new(Rate { per_second: 1, burst: 1 });
        assert!(limit.check().allowed);
        let again = limit.check();
        assert!(!again.allowed && again.retry_after > Duration::ZERO && again.retry_after <= Duration::from_secs(1), "{again:?}");
    }
}
