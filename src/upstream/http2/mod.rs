//! HTTP/2 with upstreams (RFC 9113), by the h2 crate.

mod duplex;

pub use duplex::H2Duplex;
