//! Access log (stub).
use super::Owner;
use crate::model::Millis;
use std::net::IpAddr;
use std::time::Duration;

/// What is known of a request when it ends.
#[derive(Debug, Clone)]
pub struct AccessRecord<'a> {
    /// When the request's head had arrived.
    pub time: Millis,
    /// `X-Request-Id`.
    pub request_id: &'a str,
    /// Tenant id (`tenant_…`), where it was resolved.
    pub tenant: Option<&'a str>,
    /// Tenant slug.
    pub slug: Option<&'a str>,
    /// The peer, or what a trusted proxy says of it.
    pub client: IpAddr,
    /// `HTTP/1.1`, `HTTP/2.0`, …
    pub protocol: &'static str,
    /// Request method.
    pub method: &'a str,
    /// Normalised host, as far as there is one.
    pub host: &'a str,
    /// Path without the query (queries carry secrets).
    pub path: &'a str,
    /// Status sent to the client.
    pub status: u16,
    /// The refusal's code, where gatehouse made the answer.
    pub code: Option<&'static str>,
    /// Who caused the outcome.
    pub owner: Owner,
    /// Body octets from the client.
    pub bytes_in: u64,
    /// Body octets handed to the client.
    pub bytes_out: u64,
    /// From the head's arrival to the end of the body.
    pub duration: Duration,
    /// From the request sent upstream to the response head.
    pub upstream: Option<Duration>,
    /// The body ended before its end.
    pub aborted: bool,
}

/// The access log: one writer thread. Cloned into each worker through [`AccessLog::writer`].
pub struct AccessLog;

/// One worker's end: a buffer that is handed over when it is full or 1 s old. Not `Sync`.
pub struct AccessWriter;

impl AccessLog {
    /// Opens the destination and starts the thread.
    pub fn open(_to: &crate::config::AccessLog) -> std::io::Result<Self> {
        todo!()
    }
    /// A worker's end.
    pub fn writer(&self) -> AccessWriter {
        todo!()
    }
    /// Writes out what was handed over; after it the process may end.
    pub fn close(&self) {
        todo!()
    }
}

impl AccessWriter {
    /// Adds a line (never blocks; refusals are sampled under a flood, and how many were left out is written).
    pub fn write(&self, _record: &AccessRecord<'_>) {
        todo!()
    }
    /// Hands the buffer over; called every 500 ms and when the worker ends.
    pub fn flush(&self) {
        todo!()
    }
}
