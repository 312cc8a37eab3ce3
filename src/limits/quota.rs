//! Quota (stub).
use std::sync::atomic::AtomicU64;
/// A place was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Places left after this one; `None` is unlimited.
    pub remaining: Option<u64>,
}
/// Every place is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{used} of {limit} are used")]
pub struct QuotaExceeded {
    /// Places there are.
    pub limit: u64,
    /// Places taken.
    pub used: u64,
}
/// Takes one place of `limit` where `base + admitted − given_back` leaves one.
pub fn take_place(_admitted: &AtomicU64, _given_back: &AtomicU64, _base: u64, _limit: Option<u64>) -> Result<Place, QuotaExceeded> {
    todo!()
}
