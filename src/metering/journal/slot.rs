//! A slot: the handle through which one tenant's day is counted. An add is one atomic instruction on a mapped page.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, Release};

use super::cell::Cell;
use super::map::{CellRef, Mapping};
use crate::model::{Day, Totals};

/// The counters of one tenant and day. Cheap to clone; adds are atomic, without a system call.
///
/// What is added through it is never lost: its segment is retired only after the last handle is gone.
#[derive(Clone)]
pub struct Slot(Arc<Inner>);

struct Inner {
    cell: CellRef,
    day: Day,
}

impl Slot {
    /// The handle of a cell that was just claimed.
    pub(super) fn new(mapping: &Arc<Mapping>, index: usize, day: Day) -> Option<Self> {
        Some(Self(Arc::new(Inner { cell: CellRef::new(mapping, index)?, day })))
    }

    pub(super) fn cell(&self) -> &Cell {
        &self.0.cell
    }

    /// True where no other handle exists; what was added through those that did is then visible.
    pub(super) fn is_last(&mut self) -> bool {
        // Not `strong_count`, which promises nothing about what the other handles wrote.
        Arc::get_mut(&mut self.0).is_some()
    }

    /// The day it counts.
    pub fn day(&self) -> Day {
        self.0.day
    }

    /// For the quota: calls that took a place.
    pub fn admitted(&self) -> &AtomicU64 {
        &self.cell().admitted
    }

    /// For the quota: places given back.
    pub fn given_back(&self) -> &AtomicU64 {
        &self.cell().given_back
    }

    /// One call more counts; it was admitted through this slot. How many counted here before it.
    pub fn add_metered(&self) -> u64 {
        self.cell().add_metered()
    }

    /// One metered call of this slot lies beyond the limit.
    pub fn add_call_over(&self) {
        self.cell().calls_over.fetch_add(1, Release);
    }

    /// One place is given back; it was taken through this slot.
    pub fn give_back(&self) {
        self.cell().give_back();
    }

    /// Body octets handed to the client. How many there were here before.
    pub fn add_egress(&self, octets: u64) -> u64 {
        self.cell().egress.fetch_add(octets, Release)
    }

    /// So many octets of this slot lie beyond the limit.
    pub fn add_egress_over(&self, octets: u64) {
        self.cell().egress_over.fetch_add(octets, Release);
    }

    /// Body octets received from the client.
    pub fn add_ingress(&self, octets: u64) {
        self.cell().ingress.fetch_add(octets, Relaxed);
    }

    /// One refused call more.
    pub fn add_rejected(&self) {
        self.cell().rejected.fetch_add(1, Relaxed);
    }

    /// Body octets handed to clients so far.
    pub fn egress(&self) -> u64 {
        self.cell().egress.load(Relaxed)
    }

    /// All counters, read so that admitted ≥ metered + given back; the difference is in flight.
    pub fn totals(&self) -> Totals {
        self.cell().totals()
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("day", &self.day()).field("totals", &self.totals()).finish()
    }
}
