//! Metrics (stub).
use std::time::Duration;

/// Who caused an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The client's request was at fault, or the client left.
    Client,
    /// The tenant: suspended, over a limit.
    Tenant,
    /// The app behind.
    Upstream,
    /// Gatehouse itself.
    Gateway,
    /// Nobody: all went well.
    None,
}

/// Every number that `/metrics` shows. Labels are bounded; atomics only.
#[derive(Default)]
pub struct Metrics;

impl Metrics {
    /// One request ended. `code` is a refusal's code.
    pub fn request(&self, _status: u16, _code: Option<&'static str>, _owner: Owner, _duration: Duration) {
        todo!()
    }
    /// Body octets, from and to clients.
    pub fn bytes(&self, _ingress: u64, _egress: u64) {
        todo!()
    }
    /// A connection opened; `-1` when it closes.
    pub fn connections(&self, _listener: &'static str, _change: i64) {
        todo!()
    }
    /// A connection was refused before any request: `handshake`, `limit`, `no_certificate`, `proxy_protocol`.
    pub fn connection_refused(&self, _reason: &'static str) {
        todo!()
    }
    /// How long the fold took and how it ended; how many rows it wrote.
    pub fn fold(&self, _took: Duration, _rows: Result<usize, ()>) {
        todo!()
    }
    /// Tenants by status, set as a whole.
    pub fn tenants(&self, _by_status: &[(&'static str, u64)]) {}
    /// Upstream connections opened and reused.
    pub fn upstream_connection(&self, _reused: bool) {
        todo!()
    }
    /// OpenMetrics text.
    pub fn render(&self) -> String {
        "# EOF\n".to_owned()
    }
}
