//! What upstreams and clients have in common over HTTP/2.

mod duplex;

pub use duplex::H2Duplex;
