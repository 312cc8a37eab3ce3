//! Framing: which octets are an unambiguous request, and where it ends.
//!
//! Everything is a pure function on octets. What it promises: a head on which two servers may disagree (both lengths given,
//! several Hosts, bare line feeds) is refused, and so is a chunked body; the verdict does not depend on how the stream was split
//! into reads; a good head is parsed once, and becomes the request in the same pass.

mod chunked;
mod head;
mod request;

pub use chunked::Chunked;
pub use head::{Framing, Head, Judged, judge};

/// Why a request head was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// 400: the head is malformed or ambiguous; the text says how.
    BadRequest(&'static str),
    /// 414: the request line is too long.
    UriTooLong,
    /// 431: too many fields, or too many octets of them.
    HeadersTooLarge,
}

/// How large a head may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramingLimits {
    /// Octets of a whole head, with the request line and the empty line at its end; of a trailer section, too.
    pub max_head: usize,
    /// Fields of a head, and of a trailer section; values over 256 count as 256.
    pub max_headers: usize,
    /// Octets of the request target.
    pub max_target: usize,
}
