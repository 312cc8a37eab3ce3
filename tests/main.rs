//! The guarantees of the whole program: each file one of them, through a real process, real sockets and real TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod limits;
mod support;
