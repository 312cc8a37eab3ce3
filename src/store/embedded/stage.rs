//! A group of commits before it is written: what it changes, over what is there. The writer reads through it, so that a
//! commit sees the ones before it in its group.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};

use super::entries::Entries;
use crate::store::StoreError;
use crate::store::codec::{self, STATE_KEY, State};

/// Changes that will be written together.
pub(super) struct Stage<'a> {
    pub entries: &'a Entries,
    before: State,
    pending: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// What was read: a commit asks for most of its keys three times, for its precondition, its parts and the digest. Nobody else
    /// writes meanwhile.
    known: RefCell<HashMap<Vec<u8>, Option<sled::IVec>>>,
    bytes: usize,
    /// Changes that the log lets go, oldest first.
    let_go: Vec<Vec<u8>>,
    /// As it will be after the group.
    pub state: State,
}

/// A group that is ready to be written.
pub(super) struct Group {
    /// Everything it changes, the state included.
    pub batch: sled::Batch,
    /// The state that the batch writes.
    pub state: State,
}

impl<'a> Stage<'a> {
    /// Nothing yet, over `state`.
    pub(super) fn new(entries: &'a Entries, state: State) -> Self {
        Self { entries, before: state, pending: BTreeMap::new(), known: RefCell::default(), bytes: 0, let_go: Vec::new(), state }
    }

    /// Bytes that it would write so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The payload of an entry as the group leaves it.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.current(key)? {
            Some(value) => Ok(Some(self.entries.whole(codec::unseal(key, &value))?.to_vec())),
            None => Ok(None),
        }
    }

    /// Reads a payload with `read`.
    pub(super) fn read<T>(&self, key: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> Result<Option<T>, StoreError> {
        self.get(key)?.map(|payload| self.entries.legible(read(&payload), key)).transpose()
    }

    /// Sets an entry.
    pub(super) fn put(&mut self, key: Vec<u8>, payload: &[u8]) -> Result<(), StoreError> {
        let value = codec::seal(&key, payload);
        self.forget(&key)?;
        self.state.digest = self.state.digest.wrapping_add(codec::fingerprint(&key, &value));
        self.bytes += key.len() + value.len();
        self.pending.insert(key, Some(value));
        Ok(())
    }

    /// Removes an entry; an absent one is fine.
    pub(super) fn remove(&mut self, key: Vec<u8>) -> Result<(), StoreError> {
        if self.forget(&key)? {
            self.bytes += key.len();
            self.pending.insert(key, None);
        }
        Ok(())
    }

    /// Removes the oldest change of the log.
    pub(super) fn let_go(&mut self, oldest: Vec<u8>) -> Result<(), StoreError> {
        self.let_go.push(oldest.clone());
        self.remove(oldest)
    }

    /// Leaves everything as it was: the log, which had so many changes, too.
    pub(super) fn give_up(self, log: &mut VecDeque<Vec<u8>>, had: usize) {
        self.let_go.into_iter().rev().for_each(|oldest| log.push_front(oldest));
        log.truncate(had);
    }

    /// True where there is something to write.
    pub(super) fn changed(&self) -> bool {
        self.state != self.before || !self.pending.is_empty()
    }

    /// The group, ready to be written.
    pub(super) fn finish(mut self) -> Group {
        self.state.group += 1;
        let mut batch = sled::Batch::default();
        for (key, value) in self.pending {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        batch.insert(STATE_KEY, codec::seal(STATE_KEY, &self.state.encode()));
        Group { batch, state: self.state }
    }

    /// Takes what is there now out of the digest; true where there was something.
    fn forget(&mut self, key: &[u8]) -> Result<bool, StoreError> {
        let Some(old) = self.current(key)? else { return Ok(false) };
        self.state.digest = self.state.digest.wrapping_sub(codec::fingerprint(key, &old));
        Ok(true)
    }

    fn current(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        if let Some(pending) = self.pending.get(key) {
            return Ok(pending.as_deref().map(sled::IVec::from));
        }
        let mut known = self.known.borrow_mut();
        if let Some(known) = known.get(key) {
            return Ok(known.clone());
        }
        let found = self.entries.raw(key)?;
        known.insert(key.to_vec(), found.clone());
        Ok(found)
    }
}
