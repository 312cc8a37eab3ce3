//! What the gateway says of itself: log, access records, metrics.

mod access_log;
mod logging;
mod metrics;

pub use access_log::{AccessLog, AccessRecord, AccessWriter};
pub use logging::init_logging;
pub use metrics::{Metrics, Owner};
