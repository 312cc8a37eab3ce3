//! A response as it is handed out.

use http::StatusCode;
use hyper::ext::ReasonPhrase;

use super::UpstreamBody;
use crate::message::Fields;

/// The final response to a request with a body `B`.
pub struct Response<B> {
    /// Its status.
    pub status: StatusCode,
    /// Where it is another than the usual one (HTTP/1.1).
    pub reason: Option<ReasonPhrase>,
    /// What the head says.
    pub fields: Fields,
    /// What follows.
    pub body: UpstreamBody<B>,
}
