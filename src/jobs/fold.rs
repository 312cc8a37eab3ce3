//! The fold: once a second the journal's counters go to the store, and the journal is kept ahead of its need.

use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::{Jobs, every};
use crate::clock::instant;
use crate::metering::{FoldError, fold};
use crate::observe::{Duty, Turn};

const PERIOD: Duration = Duration::from_secs(1);
/// A turn that takes longer is told as a failure, because nobody can know yet whether it ever ends.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn run(jobs: Jobs) {
    let mut beat = every(PERIOD);
    let mut day = jobs.clock.now().day();
    loop {
        beat.tick().await;
        let today = jobs.clock.now().day();
        if today > day {
            // Before the fold, so that yesterday's last counts are in it and its slots can be let go.
            jobs.directory.roll(today);
            day = today;
        }
        let folding = fold_now(&jobs);
        turn(&jobs, &jobs.duties.fold, folding, "usage cannot be written to the store; it stays in the journal").await;
        let journal = Arc::clone(&jobs.journal);
        let upkeep = async move {
            let outcome = tokio::task::spawn_blocking(move || journal.maintain(today)).await;
            outcome.map_err(|panic| panic.to_string()).and_then(|outcome| outcome.map_err(|error| error.to_string()))
        };
        turn(&jobs, &jobs.duties.journal, upkeep, "the usage journal cannot be kept ahead; serving goes on while it has room").await;
        // The store writes to the log itself.
        jobs.duties.store.ended(jobs.clock.now(), &jobs.store.version().await);
    }
}

/// Folds once; how many rows were written.
pub async fn fold_now(jobs: &Jobs) -> Result<usize, FoldError> {
    let begun = instant();
    let outcome = fold(&jobs.journal, &*jobs.store).await;
    jobs.metrics.fold(instant().saturating_duration_since(begun), outcome.as_ref().map(|rows| *rows).map_err(|_| ()));
    outcome
}

/// One turn of a duty. It says when the duty begins to fail and when it works again, not each time.
async fn turn<T, E: Display>(jobs: &Jobs, duty: &Duty, work: impl Future<Output = Result<T, E>>, text: &str) {
    let begun = jobs.clock.now();
    let mut work = pin!(work);
    let outcome = match tokio::time::timeout(PATIENCE, &mut work).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let error = format!("it has taken {} s and has not ended", PATIENCE.as_secs());
            say(duty.overdue(begun, &error), &error, text);
            work.await
        }
    };
    let turn = duty.ended(jobs.clock.now(), &outcome);
    say(turn, outcome.err().map(|error| error.to_string()).unwrap_or_default(), text);
}

fn say(turn: Turn, error: impl Display, text: &str) {
    match turn {
        Turn::Fails => tracing::error!(%error, "{text}"),
        Turn::Recovers => tracing::info!("recovered: {text}"),
        Turn::Same => {}
    }
}
