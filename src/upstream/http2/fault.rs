//! What the h2 crate's errors mean for a request.

use h2::Reason;

use super::super::{BodyError, BoxError, SendError};
use super::lease::Lease;

/// Why there is no response head.
#[derive(Debug)]
pub(super) enum Failure {
    /// The peer says that it did nothing with the request: a GOAWAY below it, or REFUSED_STREAM (RFC 9113, section 8.7).
    Unprocessed(h2::Error),
    /// The connection ended before anything came of the response.
    Dead(String),
    /// It ended after an interim response.
    Closed(String),
    /// The peer reset the stream.
    Reset(Reason),
    Garbage(String),
    /// The upstream did not answer, or did not take the request.
    Timeout,
    /// The client did not send its body.
    BodyStalled,
    RequestBody(BoxError),
}

impl Failure {
    /// `begun` says whether an interim response has come.
    pub(super) fn of(error: h2::Error, begun: bool, lease: &Lease) -> Self {
        let reset = error.is_reset() && error.is_remote();
        if !begun && ((reset && error.reason() == Some(Reason::REFUSED_STREAM)) || (error.is_go_away() && error.is_remote())) {
            return Self::Unprocessed(error);
        }
        match error.reason() {
            Some(reason) if reset => Self::Reset(reason),
            Some(_) if error.is_library() => Self::Garbage(error.to_string()),
            _ => {
                let cause = lease.cause().unwrap_or_else(|| error.to_string());
                if begun { Self::Closed(cause) } else { Self::Dead(cause) }
            }
        }
    }

    /// With the words for whoever reads of it.
    pub(super) fn into_error(self, lease: &Lease, patience: std::time::Duration) -> SendError {
        let origin = lease.origin();
        match self {
            Self::Unprocessed(error) if error.is_reset() => reset(origin, Reason::REFUSED_STREAM),
            Self::Unprocessed(error) => SendError::Closed(format!("{origin} closed the connection before it took the request: {error}")),
            Self::Dead(reason) => SendError::Closed(format!("{origin} closed the connection before it answered: {reason}")),
            Self::Closed(reason) => SendError::Closed(format!("{origin} closed the connection before its final response: {reason}")),
            Self::Reset(reason) => reset(origin, reason),
            Self::Garbage(reason) => SendError::Garbage(format!("{origin} sent what is not HTTP/2: {reason}")),
            Self::Timeout => SendError::ResponseTimeout(format!("{origin} did not answer within {patience:?}")),
            Self::BodyStalled => SendError::BodyStalled,
            Self::RequestBody(error) => SendError::RequestBody(error),
        }
    }
}

fn reset(origin: &crate::model::Origin, reason: Reason) -> SendError {
    SendError::Reset { reason, text: format!("{origin} reset the stream before it answered: {reason}") }
}

/// Why a response's body ended before its end.
pub(super) fn cut(error: &h2::Error, lease: &Lease) -> BodyError {
    let origin = lease.origin();
    match error.reason() {
        Some(reason) if error.is_reset() && error.is_remote() => {
            BodyError::Reset { reason: said(reason), text: format!("{origin} reset the stream within its response: {reason}") }
        }
        Some(_) if error.is_library() => BodyError::Upstream(format!("{origin} sent what is not HTTP/2: {error}")),
        _ => {
            let cause = lease.cause().unwrap_or_else(|| error.to_string());
            BodyError::Upstream(format!("the response of {origin} was cut short: {cause}"))
        }
    }
}

/// What a client may be told. NO_ERROR after half a response would make some take it for whole.
fn said(reason: Reason) -> Reason {
    if reason == Reason::NO_ERROR { Reason::INTERNAL_ERROR } else { reason }
}
