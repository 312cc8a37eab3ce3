//! Keys: those of issuers are fetched when they are due or wanted; when API keys were last used is written down.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Jobs, every};
use crate::access::{Fetcher, Issuers, Keyring, Rhythm};
use crate::clock::instant;
use crate::store::Store;
use crate::tenancy::{keep_key_set, write_key_uses};

/// How long nothing is due at most, so that a new keyring or a wish that came at the wrong moment is seen.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Issuers that are asked at the same time.
const MOST_AT_ONCE: usize = 8;
/// How often uses of API keys are written down.
const USES: Duration = Duration::from_secs(60);

/// Keeps the keys of issuers fresh.
pub(super) async fn fetch(jobs: Jobs) {
    let fetcher = Arc::new(Fetcher::new());
    let mut running = JoinSet::new();
    loop {
        while running.try_join_next().is_some() {}
        let now = instant();
        for ring in jobs.issuers.rings() {
            if running.len() < MOST_AT_ONCE && ring.due(jobs.rhythm, now).is_some_and(|due| due <= now) {
                ring.begin(now);
                running.spawn(once(Arc::clone(&fetcher), ring, Arc::clone(&jobs.store), jobs.rhythm));
            }
        }
        let soonest = jobs.issuers.rings().iter().filter_map(|ring| ring.due(jobs.rhythm, now)).min();
        let pause = soonest.map_or(LONGEST_PAUSE, |due| due.saturating_duration_since(now).clamp(Duration::from_millis(20), LONGEST_PAUSE));
        tokio::select! {
            () = jobs.issuers.wake().notified() => {}
            Some(_) = running.join_next() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The first keys, for those who must not start without having tried.
pub async fn first_keys(issuers: &Issuers, store: &Arc<dyn Store>, rhythm: Rhythm) {
    let fetcher = Arc::new(Fetcher::new());
    let mut running = JoinSet::new();
    for ring in issuers.rings().into_iter().filter(|ring| ring.due(rhythm, instant()).is_some()) {
        if running.len() >= MOST_AT_ONCE {
            let _ = running.join_next().await;
        }
        ring.begin(instant());
        running.spawn(once(Arc::clone(&fetcher), ring, Arc::clone(store), rhythm));
    }
    while running.join_next().await.is_some() {}
}

async fn once(fetcher: Arc<Fetcher>, ring: Arc<Keyring>, store: Arc<dyn Store>, rhythm: Rhythm) {
    let issuer = ring.issuer.clone();
    // Whoever cuts this off must not leave it marked as running.
    let attempt = Attempt(&ring);
    match fetcher.keys(&ring).await {
        Ok(fetched) => {
            let count = fetched.keys.len();
            // Not so often that it is a burden, whatever the issuer says.
            let fresh = fetched.fresh.unwrap_or(rhythm.every).max(rhythm.at_most_every);
            if ring.fetched(fetched.keys, instant(), fresh) {
                tracing::info!(issuer, keys = count, "the keys of an issuer of tokens have changed");
                if let Err(error) = keep_key_set(&*store, &ring).await {
                    tracing::warn!(issuer, %error, "the keys of an issuer of tokens could not be kept for the next start");
                }
            }
        }
        Err(error) => {
            if ring.failed(instant(), error.clone()) {
                let known = ring.current().map_or(0, |keys| keys.len());
                tracing::warn!(issuer, known, error, "the keys of an issuer of tokens cannot be fetched; those known stay");
            }
        }
    }
    std::mem::forget(attempt);
}

/// Is dropped only where the attempt was cut off.
struct Attempt<'r>(&'r Keyring);

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.0.failed(instant(), "it was cut off".to_owned());
    }
}

/// Writes down when API keys were last used.
pub(super) async fn uses(jobs: Jobs) {
    let mut beat = every(USES);
    loop {
        beat.tick().await;
        write_uses(&jobs).await;
    }
}

/// Once, also at the end.
pub async fn write_uses(jobs: &Jobs) {
    if let Err(error) = write_key_uses(&*jobs.store, jobs.directory.take_used_keys()).await {
        tracing::warn!(%error, "when API keys were last used could not be written down");
    }
}
