//! The fold: writes what the journal counted to the store, cumulative, so that writing twice changes nothing.

use super::Journal;
use crate::store::{Store, StoreError};

/// The fold failed; nothing is lost, the next one writes the same values or later ones.
pub type FoldError = StoreError;

/// Rows in one call of the store.
pub(super) const BATCH: usize = 1_000;

/// Writes the cumulative rows that changed since the last fold; how many there were.
///
/// Folds take turns. A fold that fails half-way has durably written the batches before, and only those.
pub async fn fold(journal: &Journal, store: &dyn Store) -> Result<usize, FoldError> {
    let _turn = journal.fold_turn().await;
    let changes = journal.changes();
    for batch in changes.chunks(BATCH) {
        store.add_usage(batch.iter().map(|change| change.row).collect()).await?;
        // Only what the store has acknowledged lets a segment go; a fold cancelled before this line writes the rows again.
        batch.iter().for_each(|change| change.acknowledge());
    }
    Ok(changes.len())
}
