//! Pool (stub).
use super::{Progress, SendError, Target, UpstreamBody};
use crate::observe::Metrics;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use std::sync::Arc;
use std::time::Duration;
/// Time-outs and limits.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// TCP and TLS.
    pub connect_timeout: Duration,
    /// Request sent to response head; begins again while the request body makes progress.
    pub response_timeout: Duration,
    /// Unused connections are closed after it.
    pub idle_timeout: Duration,
    /// Octets of a response head.
    pub max_head: usize,
}
/// One worker's connections; cheap to clone, not `Send`.
#[derive(Clone)]
pub struct Pool;
impl Pool {
    /// No connection yet.
    pub fn new(_settings: PoolSettings, _metrics: Arc<Metrics>) -> Self {
        todo!()
    }
    /// Sends a request to the first of `targets` (from number `first` on, in a circle) that takes a connection, and waits
    /// for the head of the final response.
    pub async fn send<B>(
        &self,
        _targets: &[Arc<Target>],
        _first: usize,
        _request: Request<B>,
        _progress: &Progress,
    ) -> Result<Response<UpstreamBody<B>>, SendError>
    where
        B: Body<Data = Bytes> + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        todo!()
    }
    /// Closes connections that were unused for too long; called once a second.
    pub fn purge(&self) {
        todo!()
    }
}
