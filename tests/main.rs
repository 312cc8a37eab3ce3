//! The guarantees of the whole program: each file one of them, through a real process, real sockets and real TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod audit;
mod bad_input;
mod demo;
mod lifecycle;
mod limits;
mod metering;
mod real_app;
mod scale;
mod support;
