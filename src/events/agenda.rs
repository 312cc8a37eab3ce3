//! What an endpoint is to get, and when: in memory, made anew of the store at each start.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use crate::model::EventId;

/// Deliveries to one endpoint that are not done with.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    waiting: BTreeSet<(Instant, EventId)>,
    times: HashMap<EventId, Instant>,
    /// Under way; true where it was asked for again meanwhile.
    running: HashMap<EventId, bool>,
}

impl Agenda {
    /// Is to be tried at `at`, or earlier where that is known already. One that is under way is looked at once more when it has ended.
    pub fn push(&mut self, id: EventId, at: Instant) {
        if let Some(again) = self.running.get_mut(&id) {
            *again = true;
            return;
        }
        match self.times.get(&id) {
            Some(known) if *known <= at => return,
            Some(known) => _ = self.waiting.remove(&(*known, id)),
            None => {}
        }
        self.times.insert(id, at);
        self.waiting.insert((at, id));
    }

    /// The first one whose time has come. It is said with [`ended`](Self::ended) how it ended.
    pub fn take(&mut self, now: Instant) -> Option<EventId> {
        let (_, id) = self.waiting.first().copied().filter(|(at, _)| *at <= now)?;
        self.waiting.pop_first();
        self.times.remove(&id);
        self.running.insert(id, false);
        Some(id)
    }

    /// An attempt has ended; it is tried again at `next`, where it is.
    pub fn ended(&mut self, id: EventId, next: Option<Instant>, now: Instant) {
        let again = self.running.remove(&id).unwrap_or_default();
        // Whoever asked again changed the record first; what it says now, the next look at it will find.
        if let Some(at) = if again { Some(now) } else { next } {
            self.push(id, at);
        }
    }

    /// When the first of those that wait is due.
    pub fn next(&self) -> Option<Instant> {
        self.waiting.first().map(|(at, _)| *at)
    }

    /// Whether it is to be tried, or is being tried.
    pub fn knows(&self, id: EventId) -> bool {
        self.times.contains_key(&id) || self.running.contains_key(&id)
    }

    /// How many are not done with.
    pub fn len(&self) -> usize {
        self.times.len() + self.running.len()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::instant;

    fn id(number: u8) -> EventId {
        EventId::from_bytes([number; 16])
    }

    #[test]
    fn what_is_due_comes_in_the_order_of_time_and_then_of_events() {
        let (mut agenda, now) = (Agenda::default(), instant());
        let later = now + Duration::from_secs(5);
        [(2, now), (9, later), (1, now), (3, now)].into_iter().for_each(|(number, at)| agenda.push(id(number), at));
        let taken: Vec<EventId> = std::iter::from_fn(|| agenda.take(now)).collect();
        assert_eq!((taken, agenda.next()), (vec![id(1), id(2), id(3)], Some(later)));
        assert_eq!((agenda.len(), agenda.take(later)), (4, Some(id(9))));
    }

    #[test]
    fn the_earlier_of_two_times_counts_and_nothing_is_in_it_twice() {
        let (mut agenda, now) = (Agenda::default(), instant());
        let [soon, late] = [1, 9].map(|seconds| now + Duration::from_secs(seconds));
        for at in [late, soon, late] {
            agenda.push(id(1), at);
        }
        assert_eq!((agenda.len(), agenda.next(), agenda.take(now)), (1, Some(soon), None));
    }

    #[test]
    fn what_is_asked_for_while_it_is_under_way_is_looked_at_again() {
        let (mut agenda, now) = (Agenda::default(), instant());
        agenda.push(id(1), now);
        agenda.take(now);
        assert_eq!(agenda.take(now), None);
        agenda.push(id(1), now);
        agenda.ended(id(1), None, now);
        assert_eq!(agenda.take(now), Some(id(1)));
        agenda.ended(id(1), Some(now + Duration::from_secs(1)), now);
        assert!(agenda.knows(id(1)) && agenda.take(now).is_none());
    }
}
