//! An answer on its way to the client, whatever version of HTTP that speaks.

use http::StatusCode;
use hyper::ext::ReasonPhrase;

use super::body::AnswerBody;
use crate::message::Fields;

/// The head of an answer, and its body.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Where it is another than the usual one; HTTP/2 has none.
    pub reason: Option<ReasonPhrase>,
    /// What the head says.
    pub fields: Fields,
    /// What follows.
    pub body: AnswerBody,
}
