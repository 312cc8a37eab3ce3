//! Metering: counts calls and bytes in a memory-mapped journal that survives `kill -9`, takes reports of what tenants have, and
//! folds both into the store.

mod active_users;
mod fold;
mod journal;
mod report;
mod report_fold;
mod verify;

pub use active_users::{all_active_users, count_active_users};
pub use fold::{FoldError, fold};
pub use journal::{Journal, JournalError, Slot, SlotUnavailable};
pub use report::{Report, ReportKey, UserHash, What, short_hash};
pub use report_fold::{GaugeRecord, KeptReport, fold_reports, kept_report, levels_in, stored_levels};
pub use verify::{Balance, Counted, left_rows, verify};
