//! HTTP/2 with upstreams (RFC 9113), by the h2 crate. What it promises, beyond what the folder above does:
//!
//! - Requests share connections within the number of streams that the peer allows; a connection that says GOAWAY, was silent
//!   for too long, or leads to an address that is no longer the target's takes no new ones, and those on it go on.
//! - A request that the peer says it did not process is sent once more if nothing of its body was taken.
//! - Dropping what was returned resets the stream with CANCEL; the connection serves the others.
//! - The reason of a reset by the peer is kept.

mod answer;
mod call;
mod connection;
mod duplex;
mod fault;
mod hub;
mod keepalive;
mod lease;
mod pump;
mod replay;
mod request;
mod sieve;
mod transport;
mod websocket;

pub(super) use answer::Answer;
pub(super) use call::send;
pub(super) use connection::Link;
pub use duplex::H2Duplex;
pub(super) use hub::{Hub, Hubs};
pub(super) use keepalive::Tempo;
pub(super) use lease::Lease;
pub use sieve::Sieve;
pub(super) use websocket::Tunnel;
