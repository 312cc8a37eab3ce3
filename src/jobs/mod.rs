//! What runs by the clock, on the control plane's runtime. A job that fails says so and is tried again at its next turn.

mod certificates;
mod fold;
mod housekeeping;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock::SharedClock;
use crate::metering::Journal;
use crate::observe::Metrics;
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
    /// How the jobs are doing.
    pub metrics: Arc<Metrics>,
    /// Usage windows follow it.
    pub clock: SharedClock,
}

/// Starts all jobs; they end when the set is dropped.
pub fn start(jobs: &Jobs) -> JoinSet<()> {
    let mut set = JoinSet::new();
    set.spawn(fold::run(jobs.clone()));
    set.spawn(certificates::run(jobs.clone()));
    set.spawn(housekeeping::resolve(jobs.clone()));
    set.spawn(housekeeping::purge(jobs.clone()));
    set
}

/// A beat that does not hurry after a pause.
fn every(period: Duration) -> tokio::time::Interval {
    let mut beat = interval(period);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat
}
