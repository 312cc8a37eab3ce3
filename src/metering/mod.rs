//! Metering: counts calls and bytes in a memory-mapped journal that survives `kill -9`, and folds it into the store.

mod fold;
mod journal;

pub use fold::{FoldError, fold};
pub use journal::{Journal, JournalError, Slot, SlotUnavailable};
