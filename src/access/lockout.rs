//! Lock-out: who has sent wrong tokens waits, each time twice as long.
//!
//! It goes by source: an IPv4 address, or the /64 of an IPv6 address, because whoever has one address of it has all. A source that
//! is locked out learns nothing, not even from the right token. Sources are forgotten an hour after their last try, and where there
//! are very many, those of the longest ago.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// Wrong tokens before the first lock.
const FREE: u32 = 5;
/// Within this time, and after a lock.
const WINDOW: Duration = Duration::from_secs(10 * 60);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Sources that are remembered; about 100 bytes each.
const SOURCES: u64 = 20_000;
/// Longer than the longest lock and the window after it.
const MEMORY: Duration = Duration::from_secs(60 * 60);

/// Wrong tokens by source.
pub struct Lockout {
    sources: Cache<IpAddr, Arc<Mutex<Source>>>,
}

#[derive(Debug)]
struct Source {
    wrong: u32,
    /// When the window ends, within which they count.
    until: Instant,
    locked_until: Instant,
}

impl Default for Lockout {
    fn default() -> Self {
        let sources = Cache::builder().max_capacity(SOURCES).time_to_idle(MEMORY).eviction_policy(EvictionPolicy::lru()).build();
        Self { sources }
    }
}

impl Lockout {
    /// How long a source has to wait still; `None` where it may try.
    pub fn locked(&self, source: IpAddr, now: Instant) -> Option<Duration> {
        let source = self.sources.get(&network(source))?;
        let source = source.lock().unwrap_or_else(PoisonError::into_inner);
        Some(source.locked_until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// A source sent a wrong token; for how long it is locked out, where it is.
    pub fn failed(&self, source: IpAddr, now: Instant) -> Option<Duration> {
        let fresh = || Arc::new(Mutex::new(Source { wrong: 0, until: now + WINDOW, locked_until: now }));
        let source = self.sources.get_with(network(source), fresh);
        let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= source.until {
            (source.wrong, source.until) = (0, now + WINDOW);
        }
        source.wrong = source.wrong.saturating_add(1);
        let beyond = source.wrong.checked_sub(FREE)?;
        let lock = SHORTEST.saturating_mul(1 << beyond.min(20)).min(LONGEST);
        (source.locked_until, source.until) = (now + lock, now + lock + WINDOW);
        Some(lock)
    }

    /// A source sent a right token.
    pub fn succeeded(&self, source: IpAddr) {
        self.sources.invalidate(&network(source));
    }
}

/// Whose address it is.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::clock::instant;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_wrong_token_after_the_fifth_locks_twice_as_long_up_to_a_quarter_of_an_hour() {
        let (lockout, mut now, source) = (Lockout::default(), instant(), at("192.0.2.1"));
        for _ in 0..4 {
            assert_eq!((lockout.failed(source, now), lockout.locked(source, now)), (None, None));
        }
        let mut locks = Vec::new();
        for _ in 0..13 {
            let lock = lockout.failed(source, now).unwrap();
            assert_eq!(lockout.locked(source, now), Some(lock));
            now += lock;
            assert_eq!(lockout.locked(source, now), None);
            locks.push(lock.as_secs());
        }
        assert_eq!(locks, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        lockout.succeeded(source);
        assert_eq!(lockout.failed(source, now), None);
    }

    #[test]
    fn wrong_tokens_of_long_ago_and_of_others_do_not_count() {
        let (lockout, now) = (Lockout::default(), instant());
        for minute in 0..40 {
            assert_eq!(lockout.failed(at("192.0.2.1"), now + Duration::from_secs(180 * minute)), None, "four in each window");
        }
        for last in 0..5 {
            lockout.failed(at(&format!("2001:db8::{last}")), now);
        }
        assert!(lockout.locked(at("2001:db8::ffff:1"), now).is_some(), "one network");
        assert!(lockout.locked(at("2001:db8:0:1::1"), now).is_none());
        for _ in 0..5 {
            lockout.failed(at("::ffff:198.51.100.1"), now);
        }
        assert!(lockout.locked(at("198.51.100.1"), now).is_some(), "the same address");
        assert!(lockout.locked(at("198.51.100.2"), now).is_none());
    }

    #[test]
    fn very_many_sources_take_bounded_room_and_do_not_free_one_that_goes_on() {
        let (lockout, now) = (Lockout::default(), instant());
        for number in 0..60_000_u32 {
            lockout.failed(IpAddr::from(number.to_be_bytes()), now);
            if number % 1_000 == 0 {
                lockout.failed(at("192.0.2.1"), now);
            }
        }
        lockout.sources.run_pending_tasks();
        assert!(lockout.sources.entry_count() <= SOURCES, "{}", lockout.sources.entry_count());
        assert!(lockout.locked(at("192.0.2.1"), now).is_some());
    }
}
