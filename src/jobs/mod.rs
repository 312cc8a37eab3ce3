//! What runs by the clock, on the control plane's runtime. A job that fails says so and is tried again at its next turn.

mod certificates;
mod fold;
mod housekeeping;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock::SharedClock;
use crate::metering::Journal;
use crate::observe::{Duties, Metrics};
use crate::store::Store;
use crate::tenancy::Directory;
use crate::tls::Certificates;
use crate::upstream::Resolver;

pub use self::fold::fold_now;

/// What jobs work with.
#[derive(Clone)]
pub struct Jobs {
    /// Where usage goes.
    pub store: Arc<dyn Store>,
    /// Where usage comes from.
    pub journal: Arc<Journal>,
    /// Tenants as the data plane sees them.
    pub directory: Arc<Directory>,
    /// Addresses of upstreams.
    pub resolver: Arc<Resolver>,
    /// Files that are watched, where TLS is on.
    pub certificates: Option<Arc<Certificates>>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// How the jobs are doing.
    pub duties: Arc<Duties>,
    /// Usage windows follow it.
    pub clock: SharedClock,
}

/// Starts all jobs; they end when the set is dropped.
pub fn start(jobs: &Jobs) -> JoinSet<()> {
    let mut set = JoinSet::new();
    set.spawn(keep("fold", jobs.clone(), fold::run));
    set.spawn(keep("certificates", jobs.clone(), certificates::run));
    set.spawn(keep("identity", jobs.clone(), housekeeping::identity));
    set.spawn(keep("resolve", jobs.clone(), housekeeping::resolve));
    set.spawn(keep("purge", jobs.clone(), housekeeping::purge));
    set
}

/// Runs a job; one that panics is begun anew, because the gateway lives on without it only for a while.
async fn keep<F: Future<Output = ()>>(name: &str, jobs: Jobs, run: fn(Jobs) -> F) {
    while AssertUnwindSafe(run(jobs.clone())).catch_unwind().await.is_err() {
        tracing::error!(job = name, "a job panicked and is begun anew");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// A beat that does not hurry after a pause.
fn every(period: Duration) -> tokio::time::Interval {
    let mut beat = interval(period);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat
}
