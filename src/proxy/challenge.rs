//! Challenge: a certificate authority that looks whether a host is ours gets its answer on the plaintext listener, before anything
//! is asked about tenants (RFC 8555, section 8.3).

use bytes::Bytes;
use http::Method;

use super::context::Exchange;
use super::resolve::host_of;
use crate::message::{Fields, Name};

/// The answer, where one is offered for this host and path at the moment.
pub fn challenge(exchange: &Exchange, fields: &Fields) -> Option<Bytes> {
    let challenges = exchange.worker.challenges.as_ref().filter(|_| exchange.method == Method::GET)?;
    let host = host_of(fields.get(Name::Host)?)?;
    challenges.text(host.as_str(), exchange.uri.path())
}
