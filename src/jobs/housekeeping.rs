//! Small chores: names of upstreams are resolved anew, answers kept for `Idempotency-Key` are thrown away after a day.

use std::time::Duration;

use super::{Jobs, every};
use crate::tenancy::purge_answers;

pub(super) async fn resolve(jobs: Jobs) {
    let mut beat = every(Duration::from_secs(1));
    loop {
        beat.tick().await;
        jobs.resolver.refresh().await;
    }
}

pub(super) async fn purge(jobs: Jobs) {
    let mut beat = every(Duration::from_secs(600));
    loop {
        beat.tick().await;
        match purge_answers(&*jobs.store, jobs.clock.now()).await {
            Ok(0) => {}
            Ok(count) => tracing::debug!(count, "old answers were thrown away"),
            Err(error) => tracing::warn!(%error, "old answers could not be thrown away"),
        }
    }
}
