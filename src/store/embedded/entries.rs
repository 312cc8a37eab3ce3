//! Entries of the database as they may be used: checksums hold, and errors say what to do.

use std::ops::Bound;

use crate::store::codec::{self, BadEntry, Head};
use crate::store::place::Place;
use crate::store::{Key, Record, StoreError, Version};

/// The key and the payload of an entry.
pub(super) type Entry = (Vec<u8>, Vec<u8>);
/// From where to where.
pub(super) type Span = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Reads the one tree.
#[derive(Debug)]
pub(super) struct Entries {
    pub sled: sled::Db,
    pub place: Place,
}

/// A walk over many entries, which is to leave in memory no more than the cache may have. sled notes which pages were read in
/// 256 lists, and its cache hears of a list once that has 64 entries; what a walk reads only once would stay beside the cache
/// until then, up to 16,000 pages. So some of the entries are read once more, which fills the lists while few pages are new.
#[derive(Debug, Default)]
pub(in crate::store) struct LongWalk(usize);

impl LongWalk {
    /// Of a page of about a dozen entries, so many pass before one is read again.
    const STEP: usize = 4;

    /// The walk has come to `key`.
    pub(in crate::store) fn went_on(&mut self, sled: &sled::Db, key: &[u8]) {
        self.0 += 1;
        if self.0.is_multiple_of(Self::STEP) {
            // What it says is known already.
            let _ = sled.contains_key(key);
        }
    }
}

impl Entries {
    /// The stored bytes of one entry, checksum and all.
    pub(super) fn raw(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        self.sled.get(key).map_err(|error| self.place.of_sled("reading the database", &error))
    }

    /// The payload of one entry.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.raw(key)?.map(|value| Ok(self.whole(codec::unseal(key, &value))?.to_vec())).transpose()
    }

    /// Entries in the order of keys, or from the last to the first.
    pub(super) fn range(&self, span: Span, newest_first: bool) -> impl Iterator<Item = Result<Entry, StoreError>> + '_ {
        let mut found = self.sled.range::<Vec<u8>, _>(span);
        let mut walk = LongWalk::default();
        std::iter::from_fn(move || if newest_first { found.next_back() } else { found.next() }).map(move |entry| {
            let (key, value) = entry.map_err(|error| self.place.of_sled("reading the database", &error))?;
            walk.went_on(&self.sled, &key);
            let payload = self.whole(codec::unseal(&key, &value))?.to_vec();
            Ok((key.to_vec(), payload))
        })
    }

    /// Everything in one space.
    pub(super) fn space(&self, space: u8) -> impl Iterator<Item = Result<Entry, StoreError>> + '_ {
        self.range((Bound::Included(vec![space]), Bound::Excluded(vec![space + 1])), false)
    }

    /// One record, put together from its head and parts.
    pub(super) fn record(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let head = self.get(&codec::head_key(key.table, &key.id))?;
        head.map(|head| self.assemble(key.clone(), &head)).transpose()
    }

    /// The record with this head.
    pub(super) fn assemble(&self, key: Key, head: &[u8]) -> Result<Record, StoreError> {
        let lost = || BadEntry::at(&[codec::space::PART]);
        let head = self.whole(Head::decode(head).ok_or_else(|| BadEntry::at(&[codec::space::HEAD])))?;
        let mut value = Vec::with_capacity(head.len as usize);
        value.extend_from_slice(head.first);
        for number in 1..=head.parts() {
            let part = self.get(&codec::part_key(&key, number))?;
            value.extend_from_slice(&self.whole(part.ok_or_else(lost))?);
        }
        if value.len() != head.len as usize {
            return self.whole(Err(lost()));
        }
        Ok(Record { key, version: Version(head.version), value })
    }

    /// Turns an entry that is not what was written into an error that names the file.
    pub(super) fn whole<T>(&self, read: Result<T, BadEntry>) -> Result<T, StoreError> {
        read.map_err(|error| self.place.damaged(&self.place.data(), error))
    }

    /// The same for a layout that cannot be read.
    pub(super) fn legible<T>(&self, read: Option<T>, key: &[u8]) -> Result<T, StoreError> {
        self.whole(read.ok_or_else(|| BadEntry::at(key)))
    }
}
