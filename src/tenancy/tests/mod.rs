//! Tests of several files of this folder together.
#![allow(clippy::unwrap_used)]

mod directory;
mod late;
mod ledger;
