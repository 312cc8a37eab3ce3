//! Rate (stub).
use crate::model::Rate;
use std::time::Duration;
/// One limiter.
pub struct RateLimit;
/// What the limiter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateDecision {
    /// The request may go on.
    pub allowed: bool,
    /// Requests left at once.
    pub remaining: u32,
    /// Until the next request would be allowed; zero where this one was.
    pub retry_after: Duration,
}
impl RateLimit {
    /// A full bucket.
    pub fn new(_rate: Rate) -> Self {
        todo!()
    }
    /// The rate it was made for.
    pub fn rate(&self) -> Rate {
        todo!()
    }
    /// Asks and takes.
    pub fn check(&self) -> RateDecision {
        todo!()
    }
}
