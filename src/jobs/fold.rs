//! The fold: once a second the journal's counters and reports go to the store, and who has reached a threshold of a limit is
//! told.

use std::sync::Arc;

use super::{Jobs, SECOND, every, turn};
use crate::clock::instant;
use crate::metering::{FoldError, fold, fold_reports};
use crate::model::TenantId;
use crate::store::{StoreError, UsageRow};

/// What is kept for a store that cannot take alerts; beyond it the newest are left out, and the next change brings them again.
const MOST_PENDING: usize = 100_000;

/// What has changed and was not looked at for alerts.
#[derive(Default)]
struct Pending {
    rows: Vec<UsageRow>,
    reported: Vec<TenantId>,
    replanned: Vec<TenantId>,
}

pub(super) async fn run(jobs: Jobs) {
    let mut beat = every(SECOND);
    let mut pending = Pending::default();
    let mut month = None;
    loop {
        beat.tick().await;
        let now = jobs.clock.now();
        let this_month = now.day().month();
        if month.replace(this_month) != Some(this_month) {
            // At the start, and when a month begins with what there is.
            jobs.directory.begin_month(&jobs.journal, now);
            pending.reported.extend(jobs.directory.with_gauges());
        }
        let work = fold_all(&jobs, &mut pending);
        turn(&jobs, &jobs.duties.fold, work, "usage cannot be written to the store; it stays in the journal").await;
        // The store writes to the log itself.
        jobs.duties.store.ended(jobs.clock.now(), &jobs.store.version().await);
    }
}

/// Folds for the last time, with what still waits in memory for room in the journal.
pub async fn fold_last(jobs: &Jobs) -> anyhow::Result<()> {
    let mut pending = Pending::default();
    fold_all(jobs, &mut pending).await?;
    while jobs.journal.lacked_room() {
        let (journal, now) = (Arc::clone(&jobs.journal), jobs.clock.now());
        tokio::task::spawn_blocking(move || journal.maintain(now.day())).await??;
        jobs.directory.catch_up(&jobs.journal, now);
        fold_all(jobs, &mut pending).await?;
    }
    Ok(())
}

async fn fold_all(jobs: &Jobs, pending: &mut Pending) -> Result<(), StoreError> {
    let replanned = jobs.directory.take_replanned();
    jobs.directory.tell_stored(&replanned, &jobs.journal, jobs.clock.now());
    pending.replanned.extend(replanned);
    pending.rows.extend(fold_counters(jobs).await?);
    fold_reports(&jobs.journal, &*jobs.store).await?;
    pending.reported.extend(jobs.journal.take_reported());
    tell(jobs, pending).await
}

/// Folds the counters once; what had changed.
async fn fold_counters(jobs: &Jobs) -> Result<Vec<UsageRow>, FoldError> {
    let begun = instant();
    let outcome = fold(&jobs.journal, &*jobs.store).await;
    jobs.metrics.fold(instant().saturating_duration_since(begun), outcome.as_ref().map(Vec::len).map_err(|_| ()));
    outcome
}

/// Tells of thresholds; what could not be told stays.
async fn tell(jobs: &Jobs, pending: &mut Pending) -> Result<(), StoreError> {
    let now = jobs.clock.now();
    pending.rows.truncate(MOST_PENDING);
    pending.reported.truncate(MOST_PENDING);
    jobs.alerts.check_counters(&pending.rows, now).await?;
    pending.rows.clear();
    jobs.alerts.check_gauges(&pending.reported, now).await?;
    pending.reported.clear();
    jobs.alerts.check_limits(&pending.replanned, now).await?;
    pending.replanned.clear();
    Ok(())
}
