//! Interim responses (1xx) of the app on their way to the client (RFC 9110, section 15.2).
//!
//! What it promises: they reach the client as they come and before the final response; HTTP/1.0 clients get none. A 100 that
//! answers `Expect` is not among them: whoever reads the client's body says it when the body is first asked for.

use http::{Response, StatusCode, Version};

use super::context::Exchange;
use super::headers::strip_response;
use super::http1::State;
use super::http2::Side;
use super::reports::strip_reports;
use crate::message::{Fields, Name};

/// The way to the client of one request.
pub struct Interim<'e> {
    way: Way<'e>,
    waits_for_100: bool,
}

enum Way<'e> {
    Http1(&'e State),
    Http2(&'e Side),
    None,
}

impl<'e> Interim<'e> {
    /// For a request that is about to be sent.
    pub fn of(exchange: &'e Exchange, fields: &Fields) -> Self {
        let way = match (&exchange.side, &exchange.connection.http1) {
            (Some(side), _) => Way::Http2(side),
            (None, Some(http1)) if exchange.version == Version::HTTP_11 => Way::Http1(http1),
            (None, _) => Way::None,
        };
        Self { way, waits_for_100: fields.has(Name::Expect) }
    }

    /// Hands on one.
    pub fn forward(&self, mut interim: Response<()>) {
        if interim.status() == StatusCode::CONTINUE && self.waits_for_100 {
            return;
        }
        let mut fields = Fields::from(interim.headers());
        strip_response(&mut fields, false);
        strip_reports(&mut fields);
        *interim.headers_mut() = fields.to_map();
        match self.way {
            Way::Http1(http1) => http1.inform(&interim),
            Way::Http2(side) => side.inform(interim),
            Way::None => {}
        }
    }
}
