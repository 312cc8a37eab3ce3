//! Upkeep: brings the journal to the disk, keeps free files ahead of need, and retires segments whose days are over and whose
//! rows the store has.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::Journal;
use super::error::JournalError;
use super::format::{Header, Kind};
use super::segment::Segment;
use crate::model::Day;
use crate::observe::JournalRoom;

/// What only one upkeep at a time may touch.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    /// The number of the next segment.
    sequence: u32,
}

impl Journal {
    /// Keeps one whole spare segment and room for tomorrow's slots ahead; retires segments whose days are over since a
    /// whole day, whose last values were folded and of which no [`Slot`](super::Slot) is held. Blocking; called by a job,
    /// at least every few seconds.
    ///
    /// An error (a full disk) leaves everything that runs as it was, and is tried again at the next call.
    pub fn maintain(&self, today: Day) -> Result<(), JournalError> {
        self.latest.fetch_max(today.0, Ordering::Relaxed);
        let mut upkeep = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        // Waits where the file system is frozen, as requests then do: whoever watches this sees it.
        if let Some(segment) = self.segments.load().first() {
            segment.touch();
        }
        // First of all, because tenants that are new to the day may fill the spare while the disk is waited for.
        let grown = self.grow(&mut upkeep, self.wanted(today));
        let synced = self.sync();
        let retired = self.retire(today);
        // What is retired makes room on the disk.
        let grown = grown.or_else(|_| self.grow(&mut upkeep, self.wanted(today)));
        let logs = self.reports.grow(&self.dir, &mut upkeep.sequence, &self.lock);
        synced.and(retired).and(grown).and(logs)
    }

    /// What of it cannot wait: room for slots and reports. Blocking; called by a job whenever it is [wanted](Self::wants_room).
    pub fn provide(&self, today: Day) -> Result<(), JournalError> {
        self.latest.fetch_max(today.0, Ordering::Relaxed);
        let mut upkeep = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        let grown = self.grow(&mut upkeep, self.wanted(today));
        let logs = self.reports.grow(&self.dir, &mut upkeep.sequence, &self.lock);
        grown.and(logs)
    }

    /// Makes what was counted and reported so far survive a power failure.
    pub fn sync(&self) -> Result<(), JournalError> {
        self.segments.load().iter().try_for_each(|segment| segment.sync())?;
        self.reports.sync()
    }

    /// Room for so many slots at once, and a spare; fails only where there is no room for any.
    pub(super) fn prepare(&self, slots: usize) -> Result<(), JournalError> {
        let mut upkeep = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        let grown = self.grow(&mut upkeep, self.unused_for(slots));
        let logs = self.reports.grow(&self.dir, &mut upkeep.sequence, &self.lock);
        // On a disk that has become too small for all of it, the gateway starts with what there is: whoever finds no slot is
        // refused, never unmetered, and each upkeep reports the failure again.
        if self.segments.load().is_empty() { grown.and(logs) } else { Ok(()) }
    }

    /// One segment at least, and one more as the spare.
    fn unused_for(&self, slots: usize) -> usize {
        1 + slots.div_ceil(self.capacity as usize).max(1)
    }

    /// How many unused segments there should be: tomorrow needs what today has used, unless it has begun already.
    fn wanted(&self, today: Day) -> usize {
        let (mut used, mut ahead) = (0, 0);
        for segment in self.segments.load().iter() {
            match segment.latest() {
                Some(day) if day == today => used += segment.used(),
                Some(day) if day > today => ahead += segment.used(),
                _ => {}
            }
        }
        self.unused_for(used.saturating_sub(ahead))
    }

    /// How much room there is for slots of `today` and later.
    pub fn room(&self, today: Day) -> JournalRoom {
        let segments = self.segments.load();
        // Those whose days are over are closed to new slots.
        let open = segments.iter().filter(|segment| !segment.latest().is_some_and(|day| is_over(day, today)));
        let free_slots = open.map(|segment| u64::from(self.capacity).saturating_sub(segment.used() as u64)).sum();
        let unused_segments = segments.iter().filter(|segment| segment.is_unused()).count() as u64;
        JournalRoom { free_slots, unused_segments, free_reports: self.reports.free() }
    }

    fn grow(&self, upkeep: &mut Upkeep, wanted: usize) -> Result<(), JournalError> {
        let unused = self.segments.load().iter().filter(|segment| segment.is_unused()).count();
        for _ in unused..wanted {
            let header = Header { incarnation: self.incarnation, sequence: upkeep.sequence, capacity: self.capacity, kind: Kind::Slots };
            let segment = Segment::create(&self.dir, header, &self.lock)?;
            upkeep.sequence += 1;
            let mut segments = self.segments.load().to_vec();
            segments.push(Arc::new(segment));
            self.segments.store(Arc::new(segments));
        }
        Ok(())
    }

    fn retire(&self, today: Day) -> Result<(), JournalError> {
        let segments = self.segments.load_full();
        let mut outcome = Ok(());
        let mut kept = Vec::with_capacity(segments.len());
        for segment in segments.iter() {
            let is_due = segment.latest().is_some_and(|day| is_over(day, today));
            // The fold after the first time stores its rows.
            if is_due && segment.store_as_rows() && self.retire_slots(segment, today) {
                match segment.delete() {
                    Ok(()) => {
                        self.gone().extend(segment.page_keys());
                        continue;
                    }
                    // Its slots are gone and their values stored; only the file waits for the next call.
                    Err(error) => outcome = Err(error),
                }
            }
            kept.push(Arc::clone(segment));
        }
        if kept.len() < segments.len() {
            self.segments.store(Arc::new(kept));
        }
        outcome
    }

    /// Takes those slots of a segment out of the map that nobody can add to any more and that the store has; true where
    /// that was the last of them.
    ///
    /// A slot leaves under its shard's lock, as the only handle. So nobody holds it, nobody can get it from the map, and
    /// whoever asks for its key later finds the day closed: an add to it is impossible from here on. Its counters are read
    /// after that is certain, so what the store acknowledged is compared with their last values.
    fn retire_slots(&self, segment: &Segment, today: Day) -> bool {
        segment.seal();
        let mut all = true;
        for (index, cell) in segment.cells().iter().enumerate() {
            // Claimed this very moment, perhaps for today; the next call sees it whole.
            let Some(key) = cell.key().filter(|(_, day)| is_over(*day, today)) else {
                all = false;
                continue;
            };
            self.slots.remove_if_mut(&key, |(_, day), slot| {
                let done = slot.is_last() && segment.is_settled(index, &slot.totals());
                if done {
                    self.closed.fetch_max(day.0.saturating_add(1), Ordering::Relaxed);
                }
                done
            });
            all &= !self.slots.contains_key(&key);
        }
        all
    }
}

/// Over since a whole day: a clock that is set back by a little, or a call admitted at midnight, still finds its slot.
fn is_over(day: Day, today: Day) -> bool {
    day.0 < today.0.saturating_sub(1)
}
