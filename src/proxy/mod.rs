//! The request path.

pub mod framing;
pub mod headers;
