//! Upstreams: addresses published by the control plane, connections pooled by each worker.
//!
//! A request and its response run in the caller's own task: no second task, no channel. What it promises:
//!
//! - A response is handed on only if its framing can be read in one way (RFC 9112, section 6.3); a body that was cut short
//!   never ends cleanly.
//! - Both bodies flow at once, and each side's back-pressure reaches the other.
//! - Nothing is sent twice, but an idempotent request without a body whose reused connection turned out to be dead, and
//!   what an HTTP/2 upstream says that it did not process.
//! - An HTTP/1.1 connection is used again only when request and response were complete and nothing followed them.
//! - Dropping what [`Pool::send`] returned, or its future, closes the connection or resets the stream.
//!
//! HTTP/1.1 is in this folder itself, HTTP/2 in one below it; which of them a target speaks, its scheme says.

mod body;
mod client_tls;
mod connection;
mod deadline;
mod decoder;
mod dial;
mod exchange;
mod head;
mod http2;
mod identity;
mod idle;
mod pool;
mod request;
mod resolve;
mod response;
mod sender;
mod stream;
mod target;
#[cfg(test)]
mod tests;
mod upgraded;
mod websocket;

pub use body::{BodyError, UpstreamBody};
pub use client_tls::{TlsFault, TlsFiles};
pub use connection::{Progress, SendError};
pub use deadline::grpc_timeout;
pub use http2::{H2Duplex, Sieve};
pub use pool::{Pool, PoolSettings};
pub use request::Request;
pub use resolve::Resolver;
pub use response::Response;
pub use target::{Target, TargetError};
pub use upgraded::Upgraded;
pub use websocket::websocket_accept;

/// Takes the interim responses (1xx, but 101) of one request, in order and before its final one.
pub type Inform<'a> = &'a dyn Fn(http::Response<()>);

/// A body's error, whatever its type is.
type BoxError = Box<dyn std::error::Error + Send + Sync>;
