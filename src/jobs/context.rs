//! The keys that sign the tenant context are replaced before they are old.

use std::time::Duration;

use super::{Jobs, every};
use crate::clock::{Clock, SystemClock};
use crate::tenancy::context_keys;

/// How often it is looked whether one is due.
const BEAT: Duration = Duration::from_secs(600);

pub(super) async fn run(jobs: Jobs) {
    let Some((signer, vault, rotate)) = &jobs.context else { return std::future::pending().await };
    let mut beat = every(BEAT);
    loop {
        beat.tick().await;
        match context_keys(&*jobs.store, vault, *rotate, SystemClock.now()).await {
            Ok((_, false)) => {}
            Ok((keys, true)) => {
                tracing::info!(keys = keys.len(), "the keys that sign the tenant context have changed");
                signer.set_keys(keys);
            }
            Err(error) => tracing::warn!(%error, "the keys that sign the tenant context could not be looked after"),
        }
    }
}
