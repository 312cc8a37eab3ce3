//! TLS as peers see it that were not written here, and certificates as files that come, change and go.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod dev_ca;
mod files;
mod handshakes;
mod support;
