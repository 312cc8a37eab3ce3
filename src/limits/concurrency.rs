//! Requests in flight: a count with a cap; entering asks and takes in one step, leaving is a drop.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// Counts requests in flight.
#[derive(Debug, Default)]
pub struct Concurrency {
    // Relaxed throughout: one counter guards no other memory, and its read-modify-writes are in one order by themselves.
    inside: AtomicU32,
}

/// One request in flight; leaves when dropped.
#[derive(Debug)]
#[must_use = "the request leaves when this is dropped"]
pub struct InFlight(Arc<Concurrency>);

impl Concurrency {
    /// Enters unless `max` are inside; `None` is unlimited. The unlimited are counted too, so that a later cap sees them.
    pub fn enter(self: &Arc<Self>, max: Option<u32>) -> Option<InFlight> {
        let one_more = |inside: u32| if max.is_some_and(|max| inside >= max) { None } else { inside.checked_add(1) };
        self.inside.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(InFlight(Arc::clone(self)))
    }

    /// How many are inside.
    pub fn current(&self) -> u32 {
        self.inside.load(Relaxed)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // Cannot pass zero: one `InFlight` exists for each that was added.
        self.0.inside.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::thread;

    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_request_is_dropped() {
        let concurrency = Arc::new(Concurrency::default());
        let first = concurrency.enter(Some(2)).unwrap();
        let second = concurrency.enter(Some(2)).unwrap();
        assert!(concurrency.enter(Some(2)).is_none() && concurrency.current() == 2);
        drop(first);
        let third = concurrency.enter(Some(2));
        assert!(third.is_some());
        drop((second, third));
        assert_eq!(concurrency.current(), 0);
    }

    #[test]
    fn a_cap_set_later_sees_those_who_came_without_one() {
        let concurrency = Arc::new(Concurrency::default());
        let inside: Vec<_> = (0..3).filter_map(|_| concurrency.enter(None)).collect();
        assert!(concurrency.enter(Some(3)).is_none() && concurrency.enter(Some(0)).is_none());
        assert!(concurrency.enter(Some(4)).is_some());
        drop(inside);
        assert!(concurrency.enter(Some(1)).is_some());
    }

    #[test]
    fn a_full_counter_lets_nobody_in_and_does_not_start_over() {
        let concurrency = Arc::new(Concurrency { inside: AtomicU32::new(u32::MAX) });
        assert!(concurrency.enter(None).is_none());
        assert_eq!(concurrency.current(), u32::MAX);
    }

    #[test]
    fn threads_up_to_the_cap_are_never_refused_and_beyond_it_never_let_in() {
        let crowd = |threads: u32, max: u32| -> u32 {
            let (concurrency, inside) = (Arc::new(Concurrency::default()), AtomicU32::new(0));
            let refused = thread::scope(|scope| {
                let work = || {
                    let mut refused = 0;
                    for _ in 0..50_000 {
                        let Some(_request) = concurrency.enter(Some(max)) else {
                            refused += 1;
                            continue;
                        };
                        assert!(inside.fetch_add(1, Relaxed) < max);
                        inside.fetch_sub(1, Relaxed);
                    }
                    refused
                };
                let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
                all.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!(concurrency.current(), 0);
            refused
        };
        assert_eq!(crowd(4, 4), 0);
        crowd(6, 2);
    }
}
