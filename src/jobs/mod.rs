//! What runs by the clock, on the control plane's runtime. A job that fails says so and is tried again at its next turn.

mod billing;
mod certificates;
mod context;
mod domains;
mod fold;
mod housekeeping;
mod journal;
mod keys;

use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::access::{ContextSigner, Issuers, Rhythm};
use crate::clock::SharedClock;
use crate::events::Events;
use crate::metering::Journal;
use crate::observe::{Duties, Duty, Metrics, Turn};
use crate::store::Store;
use crate::tenancy::{Alerts, BaseCertificate, Biller, Directory, Keeper};
use crate::tls::Vault;
use crate::upstream::Resolver;

pub use self::fold::fold_last;
pub use self::keys::{first_keys, write_uses};

const SECOND: Duration = Duration::from_secs(1);
/// A turn of a duty that takes longer is told as a failure, because nobody can know yet whether it ever ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// What jobs work with.
#[derive(Clone)]
pub struct Jobs {
    /// Where usage goes.
    pub store: Arc<dyn Store>,
    /// Where usage comes from.
    pub journal: Arc<Journal>,
    /// Tenants as the data plane sees them.
    pub directory: Arc<Directory>,
    /// Does what is due in billing.
    pub biller: Arc<Biller>,
    /// Tells of thresholds.
    pub alerts: Arc<Alerts>,
    /// Addresses of upstreams.
    pub resolver: Arc<Resolver>,
    /// Looks after custom domains, and has the certificates where TLS is on.
    pub keeper: Arc<Keeper>,
    /// The base domain's certificate, where an authority issues it.
    pub base_certificate: Option<Arc<BaseCertificate>>,
    /// Events to the operator's systems.
    pub events: Arc<Events>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// How the jobs are doing.
    pub duties: Arc<Duties>,
    /// Usage windows follow it.
    pub clock: SharedClock,
    /// Issuers of tokens.
    pub issuers: Arc<Issuers>,
    /// How often their keys are fetched.
    pub rhythm: Rhythm,
    /// Signs the context of requests, where that is wanted: with keys that are sealed, each for so long.
    pub context: Option<(Arc<ContextSigner>, Arc<Vault>, Duration)>,
}

/// Starts all jobs; they end when the set is dropped.
pub fn start(jobs: &Jobs) -> JoinSet<()> {
    let mut set = JoinSet::new();
    set.spawn(keep("billing", jobs.clone(), billing::run));
    set.spawn(keep("fold", jobs.clone(), fold::run));
    set.spawn(keep("journal", jobs.clone(), journal::run));
    set.spawn(keep("certificates", jobs.clone(), certificates::run));
    set.spawn(keep("base certificate", jobs.clone(), certificates::base));
    set.spawn(keep("domains", jobs.clone(), domains::run));
    set.spawn(keep("context keys", jobs.clone(), context::run));
    set.spawn(keep("issuers' keys", jobs.clone(), keys::fetch));
    set.spawn(keep("uses of keys", jobs.clone(), keys::uses));
    set.spawn(keep("events", jobs.clone(), |jobs| jobs.events.run()));
    set.spawn(keep("identity", jobs.clone(), housekeeping::identity));
    set.spawn(keep("resolve", jobs.clone(), housekeeping::resolve));
    set.spawn(keep("purge", jobs.clone(), housekeeping::purge));
    set.spawn(keep("forget", jobs.clone(), housekeeping::forget));
    set
}

/// Runs a job; one that panics is begun anew, because the gateway lives on without it only for a while.
async fn keep<F: Future<Output = ()>>(name: &str, jobs: Jobs, run: fn(Jobs) -> F) {
    while AssertUnwindSafe(run(jobs.clone())).catch_unwind().await.is_err() {
        tracing::error!(job = name, "a job panicked and is begun anew");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// One turn of a duty. It says when the duty begins to fail and when it works again, not each time.
async fn turn<T, E: Display>(jobs: &Jobs, duty: &Duty, work: impl Future<Output = Result<T, E>>, text: &str) {
    let begun = jobs.clock.now();
    let mut work = pin!(work);
    let outcome = match tokio::time::timeout(PATIENCE, &mut work).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let error = format!("it has taken {} s and has not ended", PATIENCE.as_secs());
            say(duty.overdue(begun, &error), &error, text);
            work.await
        }
    };
    let turn = duty.ended(jobs.clock.now(), &outcome);
    say(turn, outcome.err().map(|error| error.to_string()).unwrap_or_default(), text);
}

fn say(turn: Turn, error: impl Display, text: &str) {
    match turn {
        Turn::Fails => tracing::error!(%error, "{text}"),
        Turn::Recovers => tracing::info!("no longer so: {text}"),
        Turn::Same => {}
    }
}

/// A beat that does not hurry after a pause.
fn every(period: Duration) -> tokio::time::Interval {
    let mut beat = interval(period);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat
}
