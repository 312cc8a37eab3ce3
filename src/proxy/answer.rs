//! An answer on its way to the client, whatever version of HTTP that speaks.

use http::{Response, StatusCode};
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

impl Answer {
    /// As hyper and h2 take it.
    pub fn into_http(self) -> Response<AnswerBody> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.fields.into_map();
        if let Some(reason) = self.reason {
            response.extensions_mut().insert(reason);
        } else if self.status.canonical_reason().is_none() {
            // hyper would make one up.
            response.extensions_mut().insert(ReasonPhrase::from_static(b""));
        }
        response
    }
}
