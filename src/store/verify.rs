//! The check of a whole database at its start: every entry is read by two threads that walk from its ends towards each other. How
//! much lies between two keys cannot be known before, so they agree on the way where they meet. A page that was lost can cut sled's
//! way forwards and leave the way back whole, so what was walked backwards is walked forwards as well.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::codec::{STATE_KEY, State, fingerprint, space, unseal};
use super::embedded::LongWalk;
use super::place::Place;
use super::{SCHEMA, StoreError};

/// What is said of a database that is not whole.
const MISSING: &str = "entries are missing, or older than the commits that it has";

/// Entries between two looks at where the other thread is.
const STRETCH: usize = 256;

/// Reads everything once and compares it with what the last group of commits left: the state of the database, and the keys of
/// the change log, oldest first. A panic of sled, which checks some of what it reads by panicking, is handed on.
pub(super) fn verify(place: &Place, sled: &sled::Db, sealed: State) -> Result<(State, VecDeque<Vec<u8>>), StoreError> {
    let damaged = |what: &str| place.damaged(&place.data(), what);
    let Found { state, digest, changes, .. } = read_all(place, sled)?;
    let state = state.ok_or_else(|| damaged("its state is missing"))?;
    if state.schema != SCHEMA {
        return Err(place.schema(state.schema, SCHEMA));
    }
    if state.digest != digest {
        return Err(damaged(MISSING));
    }
    if state.group < sealed.group {
        return Err(damaged("it has lost commits that were acknowledged"));
    }
    if state.group == sealed.group && state != sealed {
        return Err(damaged("it is not the database that the seal belongs to"));
    }
    Ok((state, changes.into()))
}

/// What was read.
#[derive(Debug, Default)]
struct Found {
    state: Option<State>,
    /// Sum over all entries but the state.
    digest: u128,
    /// Keys of the change log, sorted.
    changes: Vec<Vec<u8>>,
    entries: usize,
}

/// How far the two threads have come: what lies beyond is theirs. The keys in between belong to whoever asks first.
#[derive(Debug, Default)]
struct Meeting {
    front: Option<sled::IVec>,
    back: Option<sled::IVec>,
    /// One of them has come to the other end; the other finds nothing.
    is_through: bool,
    /// One of them failed; the other need not go on.
    failed: bool,
}

type Entry = (sled::IVec, sled::IVec);

fn read_all(place: &Place, sled: &sled::Db) -> Result<Found, StoreError> {
    let meeting = Mutex::new(Meeting::default());
    let (front, back) = thread::scope(|scope| {
        let backwards = thread::Builder::new().name("store-check".to_owned()).spawn_scoped(scope, || walk(place, sled, &meeting, true));
        let front = walk(place, sled, &meeting, false);
        // Where there is no second thread, the first has read everything.
        let back = backwards.map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        (front, back.unwrap_or_else(|_| Ok(Found::default())))
    });
    let (mut found, back) = (front?, back?);
    let meeting = meeting.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let (Some(last), Some(next)) = (meeting.front, meeting.back) {
        lead_to_each_other(place, sled, &[&last, &next])?;
    }
    found.digest = found.digest.wrapping_add(back.digest);
    found.state = found.state.or(back.state);
    found.entries += back.entries;
    found.changes.extend(back.changes);
    found.changes.sort_unstable();
    Ok(found)
}

/// Walks from one end until it meets the other thread.
fn walk(place: &Place, sled: &sled::Db, meeting: &Mutex<Meeting>, backwards: bool) -> Result<Found, StoreError> {
    let mut entries = sled.iter();
    let (mut found, mut long) = (Found::default(), LongWalk::default());
    let mut next = || if backwards { entries.next_back() } else { entries.next() };
    loop {
        let stretch = std::iter::from_fn(&mut next).take(STRETCH).collect::<Result<Vec<Entry>, sled::Error>>();
        let mut meeting = meeting.lock().unwrap_or_else(PoisonError::into_inner);
        if meeting.failed {
            return Ok(found);
        }
        let stretch = stretch.map_err(|error| {
            meeting.failed = true;
            place.of_sled("reading the database", &error)
        })?;
        let above = meeting.back.clone();
        let mine = meeting.claim(&stretch, backwards).ok_or_else(|| place.damaged(&place.data(), MISSING));
        meeting.failed |= mine.is_err();
        drop(meeting);
        let mine = mine?;
        if backwards {
            let way: Vec<&sled::IVec> = stretch.iter().take(mine).rev().map(|(key, _)| key).chain(&above).collect();
            lead_to_each_other(place, sled, &way)?;
        }
        for (key, value) in stretch.iter().take(mine) {
            long.went_on(sled, key);
            found.take(key, value).map_err(|error| place.damaged(&place.data(), error))?;
        }
        if mine < STRETCH {
            return Ok(found);
        }
    }
}

impl Meeting {
    /// Takes what the other one has not; how many from the beginning of `stretch` that is. `None` where one has come to the other end
    /// and has not met what the other has found.
    fn claim(&mut self, stretch: &[Entry], backwards: bool) -> Option<usize> {
        let (own, others) = if backwards { (&mut self.back, &self.front) } else { (&mut self.front, &self.back) };
        let free = |(key, _): &Entry| others.as_ref().is_none_or(|other| if backwards { key > other } else { key < other });
        let mine = stretch.partition_point(free);
        let ends_here = stretch.len() < STRETCH && mine == stretch.len();
        if (ends_here && others.is_some()) || (self.is_through && mine > 0) {
            return None;
        }
        self.is_through |= ends_here;
        if let Some((last, _)) = mine.checked_sub(1).and_then(|last| stretch.get(last)) {
            *own = Some(last.clone());
        }
        Some(mine)
    }
}

/// Whether sled finds each of these keys after the one before it, and nothing in between.
fn lead_to_each_other(place: &Place, sled: &sled::Db, keys: &[&sled::IVec]) -> Result<(), StoreError> {
    let Some(first) = keys.first() else { return Ok(()) };
    let mut way = sled.range::<&[u8], _>(first.as_ref()..);
    for key in keys {
        let found = way.next().transpose().map_err(|error| place.of_sled("reading the database", &error))?;
        if found.is_none_or(|(found, _)| found != **key) {
            return Err(place.damaged(&place.data(), MISSING));
        }
    }
    Ok(())
}

impl Found {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), super::codec::BadEntry> {
        let payload = unseal(key, value)?;
        self.entries += 1;
        if key == STATE_KEY {
            self.state = State::decode(payload);
            return Ok(());
        }
        self.digest = self.digest.wrapping_add(fingerprint(key, value));
        if key.first() == Some(&space::CHANGE) {
            self.changes.push(key.to_vec());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::codec::{change_key, seal};

    #[test]
    fn each_entry_is_read_once_wherever_the_threads_meet() {
        for count in [0, 1, 2, STRETCH - 1, STRETCH, STRETCH + 1, 2 * STRETCH, 2 * STRETCH + 1, 3_000] {
            let sled = sled::Config::new().temporary(true).open().unwrap();
            let (mut digest, mut changes) = (0_u128, Vec::new());
            for at in 0..count as u64 {
                let key = change_key(at, 0);
                let value = seal(&key, &at.to_le_bytes());
                digest = digest.wrapping_add(fingerprint(&key, &value));
                sled.insert(&key, value).unwrap();
                changes.push(key);
            }
            for _ in 0..20 {
                let found = read_all(&Place::new("".as_ref()), &sled).unwrap();
                assert_eq!((found.entries, found.digest), (count, digest), "of {count}");
                assert!(found.changes == changes, "of {count}");
            }
        }
    }

    #[test]
    fn a_bad_entry_is_noticed_whoever_reads_it() {
        for bad in [0, 1, 500, 999] {
            let sled = sled::Config::new().temporary(true).open().unwrap();
            for at in 0..1_000_u64 {
                let key = change_key(at, 0);
                let mut value = seal(&key, b"right");
                value[5] ^= u8::from(at == bad);
                sled.insert(&key, value).unwrap();
            }
            let error = read_all(&Place::new("".as_ref()), &sled).unwrap_err();
            assert!(matches!(&error, StoreError::Damaged(_)), "{bad}: {error}");
        }
    }
}
