//! Pool (stub).
use std::time::Duration;
/// Time-outs.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// TCP and TLS.
    pub connect_timeout: Duration,
    /// Request sent to response head; begins again while the request body makes progress.
    pub response_timeout: Duration,
    /// Unused connections are closed after it.
    pub idle_timeout: Duration,
}
/// One worker's connections.
pub struct Pool;
