//! The composition root: builds everything from a configuration, runs it, and drains it.
//!
//! Order at the start: ports, store, journal, tenants, workers; a later step never begins before an earlier one holds.
//! Order at the end: readiness fails, nobody new gets in, requests finish, usage is folded, logs are written out.

mod admin;
mod billing;
mod certificates;
mod context;
mod demo;
mod limits;
mod listeners;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::certificates::Tls;
use self::listeners::Listeners;
use crate::access::{Issuers, Rhythm};
use crate::admin::{AdminState, router};
use crate::billing::quote::Signer;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::events::Events;
use crate::jobs::{self, Jobs};
use crate::metering::{Journal, left_rows};
use crate::observe::{AccessLog, Duties, Metrics};
use crate::proxy::{Shared, spawn_worker};
use crate::shutdown::Shutdown;
use crate::store::{Embedded, Scan, Store, Table};
use crate::tenancy::{
    Accounts, Alerts, Biller, ClockMover, Directory, DirectorySettings, Hook, Operators, Plans, Proof, Reporter, Serve, Tenants,
    UsageReader, load, restore_key_sets,
};
use crate::tls::server_config;
use crate::upstream::{Resolver, TlsFiles};

/// How long the start waits for the addresses of upstreams.
const FIRST_LOOKUP: Duration = Duration::from_secs(2);

/// How long the end waits for threads that block.
const LAST_THREADS: Duration = Duration::from_secs(1);

/// A gateway that runs.
pub struct Gateway {
    config: Arc<Config>,
    addresses: Addresses,
    /// Provisioning for callers in the same process.
    tenants: Arc<Tenants>,
    ready: Arc<AtomicBool>,
    shutdown: Shutdown,
    workers: Vec<JoinHandle<()>>,
    jobs: Jobs,
    running: JoinSet<()>,
    admin: JoinSet<()>,
    access: Arc<AccessLog>,
    /// SIGTERM and SIGINT.
    signals: Option<(Signal, Signal)>,
    runtime: Runtime,
}

/// Where a gateway listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Plaintext.
    pub http: SocketAddr,
    /// TLS, where it is on.
    pub https: Option<SocketAddr>,
    /// The admin API.
    pub admin: SocketAddr,
}

pub use self::demo::demo;

/// Runs a gateway until SIGTERM or SIGINT.
pub fn run(config: Config) -> anyhow::Result<()> {
    crate::observe::init_logging(&config.log);
    Gateway::start(config)?.run_until_signal()
}

impl Gateway {
    /// Starts everything; when it answers, requests are served.
    pub fn start(config: Config) -> anyhow::Result<Self> {
        limits::private_files();
        let config = Arc::new(config);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("control").enable_all().build()?;
        let _inside = runtime.enter();
        let listeners = Listeners::bind(&config)?;
        let addresses = listeners.addresses;
        let metrics = Arc::new(Metrics::default());
        let store = runtime.block_on(open_store(&config))?;
        let (clock, movable) = runtime.block_on(billing::clock(&config, &*store))?;
        let journal = runtime.block_on(Journal::open(&config.metering.journal, &*store, clock.now()))?;
        let events = Arc::new(Events::new(store, &config.events, addresses.all(), Arc::clone(&metrics)));
        // What is committed from here on tells of itself.
        let store = events.outbox();
        let tls = runtime.block_on(certificates::load(&config, &store))?;
        let dns = certificates::dns(&config);
        let base_certificate = runtime.block_on(certificates::base_certificate(&config, &store, dns.clone(), &tls))?;
        let files = TlsFiles::of(&config.upstream);
        let resolver = Arc::new(Resolver::new(addresses.all(), files).context("TLS to upstreams cannot be set up")?);
        let plans = runtime.block_on(Plans::open(&*store, &config, clock.now())).context("the catalogue of plans cannot be read")?;
        let issuers = Arc::new(Issuers::of(&config.issuers)?);
        let rhythm = Rhythm { every: config.tokens.refresh, at_most_every: config.tokens.refresh_at_most_every };
        let tenants = tenants(&config, &store, &clock, (Arc::new(plans), &resolver), &tls, &issuers);
        let count = runtime.block_on(load(&tenants)).context("the stored tenants cannot be served")?;
        // So that the first request finds its upstream; a name server that does not answer holds nothing up.
        let _ = runtime.block_on(async { timeout(FIRST_LOOKUP, resolver.refresh()).await });
        // The same for the keys of issuers; those of the last time are known at once.
        runtime.block_on(restore_key_sets(&*store, &issuers)).context("the keys of issuers cannot be read")?;
        let _ = runtime.block_on(async { timeout(FIRST_LOOKUP, jobs::first_keys(&issuers, &store, rhythm)).await });
        let usage = Arc::new(UsageReader::new(Arc::clone(&store), Arc::clone(&journal), Arc::clone(&tenants.directory)));
        let alerts = Alerts { store: Arc::clone(&store), directory: Arc::clone(&tenants.directory), usage: Arc::clone(&usage) };
        let biller = Arc::new(Biller::new(Arc::clone(&tenants), Arc::clone(&usage)));
        let quotes = Arc::new(runtime.block_on(billing::quotes(&*store))?);
        let clock_mover = movable.map(|clock| Arc::new(ClockMover::new(clock, Arc::clone(&biller), Arc::clone(&journal))));
        let jobs = Jobs {
            store,
            biller,
            journal: Arc::clone(&journal),
            alerts: Arc::new(alerts),
            directory: Arc::clone(&tenants.directory),
            resolver,
            keeper: Arc::new(certificates::keeper(&tenants, dns, &tls, &addresses)),
            base_certificate: base_certificate.map(Arc::new),
            events,
            metrics: Arc::clone(&metrics),
            duties: Arc::new(Duties::default()),
            clock: Arc::clone(&clock),
            issuers,
            rhythm,
            context: runtime.block_on(context::signer(&config, &*tenants.store))?,
        };
        let mut running = jobs::start(&jobs);
        let hook = billing::hook(&config, &jobs.biller, &clock);
        let notices = billing::notices(hook.as_ref(), &mut running);
        let (ready, shutdown) = (Arc::new(AtomicBool::new(false)), Shutdown::default());
        let access = Arc::new(AccessLog::open(&config.log.access).context("log.access cannot be opened")?);
        let shared = Shared {
            config: Arc::clone(&config),
            directory: Arc::clone(&tenants.directory),
            journal,
            metrics: Arc::clone(&metrics),
            clock,
            access: Arc::clone(&access),
            tls: tls.certificates.map(|known| server_config(known, tls.challenges.clone(), &config.tenancy.base_domain)),
            challenges: tls.challenges,
            https_port: config.listen.public_https_port.or(addresses.https.map(|https| https.port())).unwrap_or(443),
            notices,
            context: jobs.context.as_ref().map(|(signer, ..)| Arc::clone(signer)),
            places: Arc::default(),
            shutdown: shutdown.clone(),
        };
        let Listeners { workers, admin, .. } = listeners;
        let spawn = |(index, sockets)| spawn_worker(index, shared.clone(), sockets).context("a worker thread cannot be started");
        let workers = workers.into_iter().enumerate().map(spawn).collect::<anyhow::Result<Vec<_>>>()?;
        let operators = runtime.block_on(Operators::load(Arc::clone(&jobs.store), config.admin.token.as_ref()))?;
        let state = admin_state(&tenants, &jobs, usage, (quotes, clock_mover, hook), operators, &ready);
        let admin = admin::serve(admin, router(state), &config.limits)?;
        // Before it is ready, so that whoever sees that can stop it in order; not earlier, so that a start can be cut off.
        let signals = Some((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?));
        ready.store(true, Ordering::Release);
        limits::open_files(&config);
        let https = addresses.https.map(|https| https.to_string());
        tracing::info!(http = %addresses.http, https, admin = %addresses.admin, tenants = count, "gatehouse is ready");
        drop(_inside);
        Ok(Self { config, addresses, tenants, ready, shutdown, workers, jobs, running, admin, access, signals, runtime })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The control plane's view of tenants.
    pub fn tenants(&self) -> &Arc<Tenants> {
        &self.tenants
    }

    /// Where control-plane work runs.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Waits for SIGTERM or SIGINT, then drains. A second signal cuts off what is still under way.
    pub fn run_until_signal(mut self) -> anyhow::Result<()> {
        let shutdown = self.shutdown.clone();
        let (mut terminate, mut interrupt) = self.signals.take().context("the gateway was told to wait for signals twice")?;
        self.runtime.block_on(async {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!(signal = name, "stopping: requests under way may finish");
            tokio::spawn(async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                shutdown.give_up();
            });
        });
        self.stop()
    }

    /// Drains: readiness fails, nobody new gets in, requests finish within `listen.drain_timeout`, usage is folded.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.ready.store(false, Ordering::Release);
        self.shutdown.begin();
        let (runtime, shutdown) = (&self.runtime, &self.shutdown);
        // The timer needs the runtime around it when it is made.
        let drained = runtime.block_on(async { timeout(self.config.listen.drain_timeout, shutdown.over()).await });
        if drained.is_err() {
            tracing::warn!(open = shutdown.held(), "the drain took too long; what is still open is cut off");
        }
        shutdown.give_up();
        for worker in self.workers.drain(..) {
            if worker.join().is_err() {
                tracing::error!("a worker had panicked");
            }
        }
        runtime.block_on(self.running.shutdown());
        let folded = runtime.block_on(jobs::fold_last(&self.jobs));
        runtime.block_on(jobs::write_uses(&self.jobs));
        self.access.close();
        runtime.block_on(self.admin.shutdown());
        folded.context("the last usage could not be folded; it stays in the journal for the next start")?;
        tracing::info!("stopped");
        let Self { runtime, tenants, jobs, .. } = self;
        // The store closes with its last holder. A look-up of a name that still blocks a thread is not waited for.
        drop((tenants, jobs));
        runtime.shutdown_timeout(LAST_THREADS);
        Ok(())
    }
}

async fn open_store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let path = config.store.path.clone();
    let store = tokio::task::spawn_blocking(move || Embedded::open(&path)).await??;
    let store: Arc<dyn Store> = Arc::new(store);
    refuse_lost_store(config, &*store).await?;
    Ok(store)
}

/// A store without tenants beside a journal that has counted for some is a volume that is not mounted, more likely than not.
async fn refuse_lost_store(config: &Config, store: &dyn Store) -> anyhow::Result<()> {
    let scan = Scan { table: Table::Tenants, prefix: String::new(), after: None, newest_first: false, limit: 1 };
    if !store.scan(scan).await?.is_empty() || !config.metering.journal.exists() || left_rows(&config.metering.journal)?.is_empty() {
        return Ok(());
    }
    let (store, journal) = (config.store.path.display(), config.metering.journal.display());
    anyhow::bail!(
        "the store in {store} has no tenants, but the usage journal in {journal} has counted for some: is a volume not mounted? \
         Bring the store back, or restore it; to begin anew all the same, move the journal's files away"
    )
}

fn tenants(
    config: &Arc<Config>,
    store: &Arc<dyn Store>,
    clock: &SharedClock,
    (plans, resolver): (Arc<Plans>, &Arc<Resolver>),
    tls: &Tls,
    issuers: &Arc<Issuers>,
) -> Arc<Tenants> {
    let (asked, told) = (tls.certificates.clone(), tls.certificates.clone().filter(|_| tls.issuer.is_some()));
    let proves: Proof = Arc::new(move |domain| asked.as_ref().is_some_and(|certificates| certificates.proves(domain)));
    let serve: Serve = Arc::new(move |domain, stored| told.iter().for_each(|certificates| certificates.set_issued(domain, stored)));
    let directory = Directory::new(DirectorySettings {
        base_domain: config.tenancy.base_domain.clone(),
        custom_domains: config.tenancy.custom_domains,
        plans: Arc::clone(&plans),
        default_upstream: config.upstream.default.clone(),
        resolver: Arc::clone(resolver),
        sso: config.features.sso,
        proves,
        serve,
        issuers: Arc::clone(issuers),
        clock: Arc::clone(clock),
        accounts: Arc::new(Accounts::new(Arc::clone(config))),
    });
    Arc::new(Tenants {
        store: Arc::clone(store),
        directory: Arc::new(directory),
        config: Arc::clone(config),
        plans,
        payments: billing::payments(config),
        clock: Arc::clone(clock),
        resolver: Arc::clone(resolver),
    })
}

fn admin_state(
    tenants: &Arc<Tenants>,
    jobs: &Jobs,
    usage: Arc<UsageReader>,
    (quotes, clock_mover, hook): (Arc<Signer>, Option<Arc<ClockMover>>, Option<Arc<Hook>>),
    operators: Operators,
    ready: &Arc<AtomicBool>,
) -> AdminState {
    let ready = Arc::clone(ready);
    AdminState {
        tenants: Arc::clone(tenants),
        usage,
        operators: Arc::new(operators),
        reporter: Arc::new(Reporter::new(Arc::clone(&jobs.store), Arc::clone(&jobs.journal), Arc::clone(&tenants.directory))),
        events: Arc::clone(&jobs.events),
        metrics: Arc::clone(&jobs.metrics),
        duties: Arc::clone(&jobs.duties),
        journal: Arc::clone(&jobs.journal),
        clock: Arc::clone(&jobs.clock),
        config: Arc::clone(&tenants.config),
        ready: Arc::new(move || ready.load(Ordering::Acquire)),
        keeper: Arc::clone(&jobs.keeper),
        biller: Arc::clone(&jobs.biller),
        hook,
        quotes,
        context: jobs.context.as_ref().map(|(signer, ..)| Arc::clone(signer)),
        clock_mover,
    }
}

impl Addresses {
    /// All of them, which no upstream may be.
    fn all(self) -> Vec<SocketAddr> {
        [Some(self.http), self.https, Some(self.admin)].into_iter().flatten().collect()
    }
}
