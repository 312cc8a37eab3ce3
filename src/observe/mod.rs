//! What the gateway says of itself: log, access records, metrics, how its duties are doing.

mod access_log;
mod duties;
mod logging;
mod metrics;

pub use access_log::{AccessLog, AccessRecord, AccessWriter};
pub use duties::{Duties, Duty, JournalRoom, Standing, Turn};
pub use logging::init_logging;
pub use metrics::{EventOutcome, Metrics, Owner, RevenueNumbers};
