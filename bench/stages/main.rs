//! Benches of the stages that a request passes, each alone and through the library's public face.
//!
//! `cargo bench --bench stages`, or one of them: `cargo bench --bench stages -- directory`.
#![allow(clippy::unwrap_used)]

mod access;
mod access_log;
mod directory;
mod framing;
mod headers;
mod journal;
mod limits;
mod metering;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    stages,
    framing::bench,
    headers::bench,
    directory::bench,
    limits::bench,
    journal::bench,
    metering::bench,
    access::bench,
    access_log::bench
);
criterion_main!(stages);
