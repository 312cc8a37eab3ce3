//! Whose turn it is: names wait in one line for each tenant, the tenants take turns, and none has more than its share of what is
//! worked on or of an hour's orders. So a tenant that adds a thousand names holds up nobody who adds one.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use crate::model::Millis;

const HOUR: i64 = 3_600_000;

/// A line for each `T`, in which things wait once each.
pub struct FairQueue<T, N> {
    turns: VecDeque<T>,
    lines: HashMap<T, VecDeque<N>>,
    /// What waits, and what is being worked on, with whose it is.
    known: HashMap<N, T>,
    /// How many are being worked on.
    busy: HashMap<T, usize>,
}

impl<T: Copy + Eq + Hash, N: Clone + Eq + Hash> FairQueue<T, N> {
    /// Puts a thing at the end of its line, unless it waits there or is being worked on. False where it is.
    pub fn push(&mut self, tenant: T, name: N) -> bool {
        if self.known.contains_key(&name) {
            return false;
        }
        self.known.insert(name.clone(), tenant);
        let line = self.lines.entry(tenant).or_default();
        if line.is_empty() {
            self.turns.push_back(tenant);
        }
        line.push_back(name);
        true
    }

    /// The next thing of a tenant of which fewer than `most` are being worked on; [`done`](Self::done) says when it has been.
    pub fn pop(&mut self, most: usize) -> Option<N> {
        let has_room = |tenant: &T| self.busy.get(tenant).is_none_or(|busy| *busy < most);
        let at = self.turns.iter().position(has_room)?;
        let tenant = self.turns.remove(at)?;
        let line = self.lines.get_mut(&tenant)?;
        let name = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        *self.busy.entry(tenant).or_default() += 1;
        name
    }

    /// Whether it waits or is being worked on.
    pub fn knows(&self, name: &N) -> bool {
        self.known.contains_key(name)
    }

    /// It may come again.
    pub fn done(&mut self, name: &N) {
        let Some(tenant) = self.known.remove(name) else { return };
        if let Some(busy) = self.busy.get_mut(&tenant) {
            *busy = busy.saturating_sub(1);
            if *busy == 0 {
                self.busy.remove(&tenant);
            }
        }
    }
}

impl<T, N> Default for FairQueue<T, N> {
    fn default() -> Self {
        Self { turns: VecDeque::new(), lines: HashMap::new(), known: HashMap::new(), busy: HashMap::new() }
    }
}

/// So many in any hour, and nobody takes more than what is left for the others.
pub struct Budget<T> {
    per_hour: usize,
    taken: VecDeque<(Millis, T)>,
}

impl<T: Copy + Eq> Budget<T> {
    /// Nothing is taken yet.
    pub const fn new(per_hour: usize) -> Self {
        Self { per_hour, taken: VecDeque::new() }
    }

    /// Takes one, or says when there will be one.
    pub fn take(&mut self, tenant: T, now: Millis) -> Result<(), Millis> {
        while self.taken.front().is_some_and(|(at, _)| at.0 + HOUR <= now.0) {
            self.taken.pop_front();
        }
        let own = self.taken.iter().filter(|(_, of)| *of == tenant);
        let (count, oldest) = (own.clone().count(), own.map(|(at, _)| *at).next());
        if count < self.per_hour.saturating_sub(self.taken.len()) {
            self.taken.push_back((now, tenant));
            return Ok(());
        }
        let frees = oldest.or_else(|| self.taken.front().map(|(at, _)| *at));
        Err(Millis(frees.unwrap_or(now).0 + HOUR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_with_a_thousand_names_delays_another_one_by_one_turn() {
        let mut queue = FairQueue::default();
        (0..1_000).for_each(|name| assert!(queue.push('a', name)));
        assert_eq!(queue.pop(9), Some(0));
        queue.push('b', 5_000);
        assert_eq!([queue.pop(9), queue.pop(9), queue.pop(9)], [Some(1), Some(5_000), Some(2)]);
    }

    #[test]
    fn a_tenant_whose_names_take_long_leaves_places_to_others() {
        let mut queue = FairQueue::default();
        (0..9).for_each(|name| assert!(queue.push('a', name)));
        assert_eq!([queue.pop(2), queue.pop(2), queue.pop(2)], [Some(0), Some(1), None]);
        queue.push('b', 50);
        assert_eq!([queue.pop(2), queue.pop(2)], [Some(50), None]);
        queue.done(&0);
        assert_eq!(queue.pop(2), Some(2));
    }

    #[test]
    fn a_name_is_worked_on_once_at_a_time() {
        let mut queue = FairQueue::default();
        assert!(queue.push('a', 1) && !queue.push('a', 1));
        assert_eq!(queue.pop(9), Some(1));
        assert!(!queue.push('a', 1) && queue.pop(9).is_none());
        queue.done(&1);
        assert!(queue.push('a', 1) && queue.pop(9) == Some(1));
    }

    #[test]
    fn no_hour_sees_more_than_the_budget_and_who_takes_much_leaves_some() {
        let mut budget = Budget::new(10);
        let taken = (0..10).filter(|at| budget.take('a', Millis(*at)).is_ok()).count();
        assert_eq!(taken, 5);
        assert_eq!(budget.take('a', Millis(20)), Err(Millis(HOUR)));
        assert_eq!(budget.take('b', Millis(30)), Ok(()));
        let others = "cdefghijkl".chars().filter(|tenant| budget.take(*tenant, Millis(40)).is_ok()).count();
        assert_eq!(others, 4);
        assert_eq!(budget.take('z', Millis(50)), Err(Millis(HOUR)), "when the first of all is over");
        assert_eq!((budget.take('z', Millis(HOUR)), budget.take('y', Millis(HOUR))), (Ok(()), Err(Millis(HOUR + 1))));
        assert_eq!(Budget::new(1).take('a', Millis(0)), Ok(()));
    }
}
