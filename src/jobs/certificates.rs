//! Certificates: changed files are loaded, and custom domains follow what they prove.

use std::sync::Arc;
use std::time::Duration;

use super::{Jobs, every};

const PERIOD: Duration = Duration::from_secs(2);
/// Certificates expire without a file changing.
const LOOK_ANYWAY: u32 = 300;

pub(super) async fn run(jobs: Jobs) {
    let Some(certificates) = jobs.keeper.certificates().cloned() else { return };
    let mut beat = every(PERIOD);
    let mut turns = 0_u32;
    loop {
        beat.tick().await;
        turns = turns.wrapping_add(1);
        let files = Arc::clone(&certificates);
        let (changed, names) = tokio::task::spawn_blocking(move || files.look_again()).await.unwrap_or_default();
        jobs.keeper.look_soon(&names);
        if changed || turns.is_multiple_of(LOOK_ANYWAY) {
            jobs.directory.check_domains();
        }
    }
}

/// The base domain's certificate is ordered and renewed, where an authority issues it.
pub(super) async fn base(jobs: Jobs) {
    let Some(certificate) = jobs.base_certificate else { return };
    let mut beat = every(PERIOD);
    loop {
        beat.tick().await;
        if let Err(error) = certificate.look_after().await {
            tracing::error!(%error, "the certificate of the base domain cannot be looked after");
        }
    }
}
