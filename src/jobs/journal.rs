//! The journal's upkeep: windows roll at midnight, files are kept ahead of need and brought to the disk. It waits for no store, so
//! that a stalled one does not keep the journal from growing.

use std::sync::Arc;

use super::{Jobs, SECOND, every, turn};
use crate::model::{Day, Millis};

pub(super) async fn run(jobs: Jobs) {
    let mut beat = every(SECOND);
    // The day on the clock, and the one that is counted on.
    let mut last = jobs.clock.now().day();
    let mut counted = last;
    loop {
        let is_due = tokio::select! {
            _ = beat.tick() => true,
            () = jobs.journal.wants_room() => false,
        };
        let now = jobs.clock.now();
        if now.day() != last {
            counted = change_day(&jobs, counted, now.day());
            last = now.day();
        }
        turn(
            &jobs,
            &jobs.duties.journal,
            keep(&jobs, now, is_due),
            "the usage journal cannot be kept ahead; serving goes on while it has room",
        )
        .await;
    }
}

/// All of the upkeep where it is due, else what cannot wait.
async fn keep(jobs: &Jobs, now: Millis, is_due: bool) -> Result<(), String> {
    let journal = Arc::clone(&jobs.journal);
    let keep = move || if is_due { journal.maintain(now.day()) } else { journal.provide(now.day()) };
    let kept = tokio::task::spawn_blocking(keep).await;
    if jobs.journal.lacked_room() {
        jobs.directory.catch_up(&jobs.journal, now);
    }
    kept.map_err(|panic| panic.to_string())?.map_err(|error| error.to_string())?;
    if jobs.journal.takes_reports() {
        Ok(())
    } else {
        Err("there is no room for more reports: they come faster than they are folded".to_owned())
    }
}

/// Rolls the windows at midnight, so that tenants without traffic let go of yesterday's slots; the day that is counted on.
fn change_day(jobs: &Jobs, counted: Day, today: Day) -> Day {
    if today > counted {
        jobs.directory.roll(today);
    } else if today < counted {
        tracing::warn!(%today, counted_on = %counted, "the clock went back; usage counts on the later day until it comes, or until a restart");
    }
    counted.max(today)
}
