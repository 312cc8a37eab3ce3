//! Small chores: names of upstreams are resolved anew, the client certificate shown to them is read again, answers kept for `Idempotency-Key` are thrown away after a day.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Jobs, every};
use crate::tenancy::purge_answers;

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
