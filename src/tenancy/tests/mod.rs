//! Tests of several files of this folder together.
#![allow(clippy::unwrap_used)]

mod directory;
mod features;
mod late;
mod ledger;
mod states;
pub mod support;

/// 2026-09-21T14:13:20Z.
const NOW: crate::model::Millis = crate::model::Millis(1_790_000_000_000);
