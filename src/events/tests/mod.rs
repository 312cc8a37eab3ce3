//! Events over a store in memory and receivers on sockets: what is committed with what, and what becomes of a delivery.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod desk;
mod outbox;
mod post;
mod support;
