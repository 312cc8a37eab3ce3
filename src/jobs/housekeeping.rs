//! Small chores: names of upstreams are resolved anew, the client certificate shown to them is read again, answers kept for
//! `Idempotency-Key` are thrown away after a day, keys of reports after 400.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Jobs, every};
use crate::events::forget_old_events;
use crate::tenancy::{forget_old, purge_answers};

/// New names are looked up at once; one that takes long to answer does not hold up the others.
pub(super) async fn resolve(jobs: Jobs) {
    let mut beat = every(Duration::from_secs(1));
    let mut lookups = JoinSet::new();
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            () = jobs.resolver.wanted() => {}
        }
        while lookups.try_join_next().is_some() {}
        let resolver = Arc::clone(&jobs.resolver);
        lookups.spawn(async move { resolver.refresh().await });
    }
}

/// The client certificate for upstreams follows its files.
pub(super) async fn identity(jobs: Jobs) {
    let mut beat = every(Duration::from_secs(2));
    loop {
        beat.tick().await;
        let resolver = Arc::clone(&jobs.resolver);
        if tokio::task::spawn_blocking(move || resolver.refresh_files()).await.is_err() {
            tracing::error!("looking after the client certificate for upstreams panicked");
        }
    }
}

/// Once a day, and not at the start, which has enough to do.
pub(super) async fn forget(jobs: Jobs) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let mut beat = every(DAY);
    beat.reset();
    loop {
        beat.tick().await;
        match forget_old(&*jobs.store, jobs.clock.now()).await {
            Ok(count) => tracing::debug!(count, "old keys and alerts were forgotten"),
            Err(error) => tracing::warn!(%error, "old keys and alerts could not be forgotten"),
        }
        match forget_old_events(&*jobs.store, jobs.clock.now()).await {
            Ok(count) => tracing::debug!(count, "old events were forgotten"),
            Err(error) => tracing::warn!(%error, "old events could not be forgotten"),
        }
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
