//! Concurrency (stub).
use std::sync::Arc;
/// Counts requests in flight.
#[derive(Debug, Default)]
pub struct Concurrency;
/// One request in flight; leaves when dropped.
#[derive(Debug)]
pub struct InFlight;
impl Concurrency {
    /// Enters unless `max` are inside; `None` is unlimited.
    pub fn enter(self: &Arc<Self>, _max: Option<u32>) -> Option<InFlight> {
        todo!()
    }
    /// How many are inside.
    pub fn current(&self) -> u32 {
        todo!()
    }
}
