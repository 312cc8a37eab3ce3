//! Tests of the upstream side, through real sockets: most peers are scripts that send exact octets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod duplex;
mod framing;
mod http2;
mod peers;
mod request;
mod resolve;
mod reuse;
mod support;
mod timeouts;
mod tls;
