//! Whose turn it is: names wait in one line for each tenant, and the tenants take turns. So a tenant that adds a thousand names
//! holds up nobody who adds one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;

use crate::model::Millis;

const HOUR: i64 = 3_600_000;

/// A line for each `T`, in which things wait once each.
pub struct FairQueue<T, N> {
    turns: VecDeque<T>,
    lines: HashMap<T, VecDeque<N>>,
    /// What waits, and what is being worked on.
    known: HashSet<N>,
}

impl<T: Copy + Eq + Hash, N: Clone + Eq + Hash> FairQueue<T, N> {
    /// Puts a thing at the end of its line, unless it waits there or is being worked on. False where it is.
    pub fn push(&mut self, tenant: T, name: N) -> bool {
        if !self.known.insert(name.clone()) {
            return false;
        }
        let line = self.lines.entry(tenant).or_default();
        if line.is_empty() {
            self.turns.push_back(tenant);
        }
        line.push_back(name);
        true
    }

    /// The next thing; [`done`](Self::done) says when it has been worked on.
    pub fn pop(&mut self) -> Option<N> {
        let tenant = self.turns.pop_front()?;
        let line = self.lines.get_mut(&tenant)?;
        let name = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        name
    }

    /// It may come again.
    pub fn done(&mut self, name: &N) {
        self.known.remove(name);
    }
}

impl<T, N> Default for FairQueue<T, N> {
    fn default() -> Self {
        Self { turns: VecDeque::new(), lines: HashMap::new(), known: HashSet::new() }
    }
}

/// So many in any hour.
pub struct Budget {
    per_hour: usize,
    taken: VecDeque<Millis>,
}

impl Budget {
    /// Nothing is taken yet.
    pub const fn new(per_hour: usize) -> Self {
        Self { per_hour, taken: VecDeque::new() }
    }

    /// Takes one, or says when there will be one.
    pub fn take(&mut self, now: Millis) -> Result<(), Millis> {
        while self.taken.front().is_some_and(|first| first.0 + HOUR <= now.0) {
            self.taken.pop_front();
        }
        match self.taken.front() {
            Some(first) if self.taken.len() >= self.per_hour => Err(Millis(first.0 + HOUR)),
            _ => {
                self.taken.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_with_a_thousand_names_delays_another_one_by_one_turn() {
        let mut queue = FairQueue::default();
        (0..1_000).for_each(|name| assert!(queue.push('a', name)));
        assert_eq!(queue.pop(), Some(0));
        queue.push('b', 5_000);
        assert_eq!([queue.pop(), queue.pop(), queue.pop()], [Some(1), Some(5_000), Some(2)]);
    }

    #[test]
    fn a_name_is_worked_on_once_at_a_time() {
        let mut queue = FairQueue::default();
        assert!(queue.push('a', 1) && !queue.push('a', 1));
        assert_eq!(queue.pop(), Some(1));
        assert!(!queue.push('a', 1) && queue.pop().is_none());
        queue.done(&1);
        assert!(queue.push('a', 1) && queue.pop() == Some(1));
    }

    #[test]
    fn no_hour_sees_more_than_the_budget_and_it_is_told_when_there_is_more() {
        let mut budget = Budget::new(2);
        assert_eq!((budget.take(Millis(0)), budget.take(Millis(10))), (Ok(()), Ok(())));
        assert_eq!(budget.take(Millis(HOUR - 1)), Err(Millis(HOUR)));
        assert_eq!((budget.take(Millis(HOUR)), budget.take(Millis(HOUR))), (Ok(()), Err(Millis(HOUR + 10))));
    }
}
