//! The quota: takes one place of a limit in one step, exactly, on two counters that only grow.
//!
//! Two promises, under any concurrency: never more than `limit` places are taken, and a call is refused only where, at
//! some moment during the call, all of them were.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

/// A place was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Places left after this one; `None` is unlimited.
    pub remaining: Option<u64>,
}

/// Every place is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{used} of {limit} are used")]
pub struct QuotaExceeded {
    /// Places there are.
    pub limit: u64,
    /// Places taken.
    pub used: u64,
}

/// Takes one place of `limit` where `base + admitted − given_back` leaves one; `None` is unlimited.
///
/// The caller adds to `given_back` only after it took that place, at most once for each, with [`SeqCst`].
///
/// # Why reading two counters is exact
///
/// All operations here and the one that gives back are sequentially consistent, so they lie in one order; "moment" means a
/// point of it. Let `a` and `g` be what the two loads saw, `admitted` first. Both counters only grow.
///
/// *Never too many.* The exchange succeeds only while `admitted` is still `a`. `given_back` is then at least `g`, so at
/// most `base + a − g < limit` places were taken before it, and at most `limit` after.
///
/// *Never refused for nothing.* At the moment `a` was read, `given_back` was at most `g`, which was read later. So at that
/// moment at least `base + a − g ≥ limit` places were taken. (Read the other way round, places that were given back and
/// taken again between the loads would count twice, and refuse for nothing. So would adding first and undoing it.)
///
/// *`g > a`* is possible where others took and gave back between the loads; then `admitted` has moved on and the exchange
/// fails, so the saturated difference decides nothing.
pub fn take_place(admitted: &AtomicU64, given_back: &AtomicU64, base: u64, limit: Option<u64>) -> Result<Place, QuotaExceeded> {
    let mut seen = admitted.load(SeqCst);
    loop {
        let used = used(base, seen, given_back.load(SeqCst));
        let remaining = match limit {
            Some(limit) if used >= u128::from(limit) => return Err(QuotaExceeded { limit, used: clamped(used) }),
            Some(limit) => Some(limit - clamped(used) - 1),
            None => None,
        };
        // A counter that has no room for one more would start over and forget every place.
        let Some(next) = seen.checked_add(1) else {
            return Err(QuotaExceeded { limit: limit.unwrap_or(u64::MAX), used: clamped(used) });
        };
        // On failure `admitted` is read anew before `given_back` is, which is the order the proof needs.
        match admitted.compare_exchange_weak(seen, next, SeqCst, SeqCst) {
            Ok(_) => return Ok(Place { remaining }),
            Err(current) => seen = current,
        }
    }
}

/// Wide enough that no sum of two counters overflows.
fn used(base: u64, admitted: u64, given_back: u64) -> u128 {
    (u128::from(base) + u128::from(admitted)).saturating_sub(u128::from(given_back))
}

fn clamped(used: u128) -> u64 {
    u64::try_from(used).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Barrier;
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    /// Threads that hold one place at a time, ask again at once and never hold two.
    fn crowd(threads: u64, limit: u64, base: u64, rounds: u64) -> (u64, u64) {
        let (admitted, given_back, inside) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let start = Barrier::new(threads as usize);
        let (mut refused, mut taken) = (0, 0);
        thread::scope(|scope| {
            let work = || {
                let (mut refused, mut taken) = (0, 0);
                start.wait();
                for _ in 0..rounds {
                    if take_place(&admitted, &given_back, base, Some(limit)).is_err() {
                        refused += 1;
                        continue;
                    }
                    taken += 1;
                    let others = inside.fetch_add(1, SeqCst);
                    assert!(base + others < limit, "{others} others are inside");
                    inside.fetch_sub(1, SeqCst);
                    given_back.fetch_add(1, SeqCst);
                }
                (refused, taken)
            };
            let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            for (r, t) in all.into_iter().map(|thread| thread.join().unwrap()) {
                refused += r;
                taken += t;
            }
        });
        assert_eq!((admitted.into_inner(), given_back.into_inner()), (taken, taken));
        (refused, taken)
    }

    #[test]
    fn as_many_threads_as_places_are_never_refused() {
        // Whoever asks holds no place, so the others hold at most limit − 1: a refusal could not be right.
        for (threads, base) in [(4, 0), (8, 3), (3, 100)] {
            assert_eq!(crowd(threads, base + threads, base, 60_000).0, 0);
        }
    }

    #[test]
    fn more_threads_than_places_never_get_more_than_there_are() {
        let (_, taken) = crowd(8, 3, 0, 60_000);
        assert!(taken >= 3);
        assert_eq!(crowd(4, 5, 5, 1_000), (4_000, 0));
    }

    #[test]
    fn threads_that_keep_their_places_get_exactly_all_of_them() {
        for limit in [1, 7, 1_000] {
            let (admitted, given_back) = (AtomicU64::new(0), AtomicU64::new(0));
            let got: usize = thread::scope(|scope| {
                let take = || (0..1_000).filter(|_| take_place(&admitted, &given_back, 0, Some(limit)).is_ok()).count();
                let all: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
                all.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!((got as u64, admitted.into_inner()), (limit, limit));
        }
    }

    #[test]
    fn counters_at_their_end_refuse_and_never_start_over() {
        let (full, none) = (AtomicU64::new(u64::MAX), AtomicU64::new(0));
        assert_eq!(take_place(&full, &none, 0, None), Err(QuotaExceeded { limit: u64::MAX, used: u64::MAX }));
        let back = AtomicU64::new(u64::MAX);
        assert!(take_place(&full, &back, 0, Some(5)).is_err(), "there is room, but no number left to count it with");
        assert_eq!(full.into_inner(), u64::MAX);
        let some = AtomicU64::new(9);
        assert_eq!(take_place(&some, &none, u64::MAX, Some(u64::MAX)), Err(QuotaExceeded { limit: u64::MAX, used: u64::MAX }));
        assert_eq!(take_place(&some, &AtomicU64::new(9), u64::MAX - 1, Some(u64::MAX)), Ok(Place { remaining: Some(0) }));
    }

    proptest! {
        #[test]
        fn one_caller_sees_what_a_plain_count_says(
            base in 0_u64..12,
            limit in prop::option::of(0_u64..12),
            asks in prop::collection::vec(any::<bool>(), 0..80),
        ) {
            let (admitted, given_back) = (AtomicU64::new(0), AtomicU64::new(0));
            let mut held = 0;
            for ask in asks {
                if ask {
                    let left = limit.map(|limit| limit.saturating_sub(base + held));
                    let expected = match (limit, left) {
                        (Some(limit), Some(0)) => Err(QuotaExceeded { limit, used: base + held }),
                        (_, left) => Ok(Place { remaining: left.map(|left| left - 1) }),
                    };
                    prop_assert_eq!(take_place(&admitted, &given_back, base, limit), expected);
                    held += u64::from(expected.is_ok());
                } else if held > 0 {
                    given_back.fetch_add(1, SeqCst);
                    held -= 1;
                }
            }
        }
    }
}
