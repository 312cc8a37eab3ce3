//! The usage journal (stub).
use crate::model::{Day, Millis, TenantId, Totals};
use crate::store::{Store, StoreError, UsageRow};
use std::path::Path;
use std::sync::Arc;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store failed while an old journal was folded.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// No slot is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the usage journal has no free slot")]
pub struct SlotUnavailable;

/// The journal of this process.
pub struct Journal;

impl Journal {
    /// Locks `dir`, folds what an earlier process left there into `store`, and begins a new incarnation.
    pub async fn open(_dir: &Path, _store: &dyn Store, _now: Millis) -> Result<Arc<Self>, JournalError> {
        Ok(Arc::new(Self))
    }
    /// The writer under which this journal's rows are stored.
    pub fn incarnation(&self) -> u64 {
        todo!()
    }
    /// The slot of a tenant's day: found or claimed. No system call.
    pub fn slot(&self, _tenant: TenantId, _day: Day) -> Result<Slot, SlotUnavailable> {
        todo!()
    }
    /// The counters of a tenant's day, where it has a slot.
    pub fn totals(&self, _tenant: TenantId, _day: Day) -> Option<Totals> {
        todo!()
    }
    /// Cumulative rows of every slot.
    pub fn rows(&self) -> Vec<UsageRow> {
        todo!()
    }
    /// Keeps a spare segment ahead; retires segments whose days are over and folded. Blocking; called by a job.
    pub fn maintain(&self, _today: Day) -> Result<(), JournalError> {
        todo!()
    }
}

/// The counters of one tenant and day. Cheap to clone; adds are atomic, without a system call.
#[derive(Clone)]
pub struct Slot(Arc<()>);

impl Slot {
    /// The day it counts.
    pub fn day(&self) -> Day {
        todo!()
    }
    /// For the quota: calls that took a place.
    pub fn admitted(&self) -> &std::sync::atomic::AtomicU64 {
        todo!()
    }
    /// For the quota: places given back.
    pub fn given_back(&self) -> &std::sync::atomic::AtomicU64 {
        todo!()
    }
    /// One call more counts.
    pub fn add_metered(&self) {
        todo!()
    }
    /// One place is given back.
    pub fn give_back(&self) {
        todo!()
    }
    /// Body octets handed to the client.
    pub fn add_egress(&self, _octets: u64) {
        todo!()
    }
    /// Body octets received from the client.
    pub fn add_ingress(&self, _octets: u64) {
        todo!()
    }
    /// One refused call more.
    pub fn add_rejected(&self) {
        todo!()
    }
    /// Body octets handed to clients so far.
    pub fn egress(&self) -> u64 {
        todo!()
    }
    /// All counters, read so that admitted ≥ metered + given back.
    pub fn totals(&self) -> Totals {
        todo!()
    }
}
