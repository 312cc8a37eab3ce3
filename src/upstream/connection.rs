//! Connection (stub).
use std::cell::Cell;
/// How far a request has come; readable by whoever owns it, also after the future of `send` was dropped.
#[derive(Debug, Default)]
pub struct Progress {
    head_sent: Cell<bool>,
}
impl Progress {
    /// True once any octet of the request head was handed to the upstream's socket.
    pub fn head_sent(&self) -> bool {
        self.head_sent.get()
    }
}
/// Why there is no response head.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No address is known.
    #[error("no address is known for {0}")]
    NoAddress(String),
    /// No address took the connection.
    #[error("{0}")]
    Unreachable(String),
    /// Connecting took longer than `connect_timeout`.
    #[error("{0}")]
    ConnectTimeout(String),
    /// No response head within `response_timeout`.
    #[error("{0}")]
    ResponseTimeout(String),
    /// The connection closed before a response head.
    #[error("{0}")]
    Closed(String),
    /// What came was not HTTP.
    #[error("{0}")]
    Garbage(String),
    /// The client's body failed; the client is to blame.
    #[error("{0}")]
    RequestBody(Box<dyn std::error::Error + Send + Sync>),
}
