//! Limits: rate, requests in flight and quotas. They know no HTTP; they answer with decisions.

mod concurrency;
mod quota;
mod rate;

pub use concurrency::{Concurrency, InFlight};
pub use quota::{Place, QuotaExceeded, take_place};
pub use rate::{RateDecision, RateLimit};
