//! The fold: once a second the journal's counters go to the store, and the journal is kept ahead of its need.

use std::sync::Arc;
use std::time::Duration;

use super::{Jobs, every};
use crate::clock::instant;
use crate::metering::{FoldError, fold};

const PERIOD: Duration = Duration::from_secs(1);

pub(super) async fn run(jobs: Jobs) {
    let mut beat = every(PERIOD);
    let mut day = jobs.clock.now().day();
    let (mut fold_fails, mut journal_fails) = (false, false);
    loop {
        beat.tick().await;
        let today = jobs.clock.now().day();
        if today > day {
            // Before the fold, so that yesterday's last counts are in it and its slots can be let go.
            jobs.directory.roll(today);
            day = today;
        }
        let outcome = fold_now(&jobs).await;
        changed(&mut fold_fails, outcome.as_ref().err(), "usage cannot be written to the store; it stays in the journal");
        let journal = Arc::clone(&jobs.journal);
        let outcome = tokio::task::spawn_blocking(move || journal.maintain(today)).await;
        let failure = outcome.map_or_else(|panic| Some(panic.to_string()), |outcome| outcome.err().map(|error| error.to_string()));
        changed(&mut journal_fails, failure.as_ref(), "the usage journal cannot be kept ahead; serving goes on while it has room");
    }
}

/// Folds once; how many rows were written.
pub async fn fold_now(jobs: &Jobs) -> Result<usize, FoldError> {
    let begun = instant();
    let outcome = fold(&jobs.journal, &*jobs.store).await;
    jobs.metrics.fold(instant().saturating_duration_since(begun), outcome.as_ref().map(|rows| *rows).map_err(|_| ()));
    outcome
}

/// Says when it begins to fail and when it works again, not each time.
fn changed<E: std::fmt::Display>(failing: &mut bool, failure: Option<&E>, text: &str) {
    match failure {
        Some(error) if !*failing => tracing::error!(%error, "{text}"),
        None if *failing => tracing::info!("recovered: {text}"),
        _ => {}
    }
    *failing = failure.is_some();
}
