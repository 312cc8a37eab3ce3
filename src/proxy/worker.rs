//! A worker: one thread with its own runtime, its own listeners and its own connections to upstreams. Workers share nothing
//! but the directory, the journal and counters.

use std::cell::RefCell;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::task::LocalSet;
use tokio::time::{MissedTickBehavior, interval};

use super::accept::accept;
use super::connection::{Door, Listener};
use super::context::Worker;
use super::notice::Notices;
use super::signed_context::Contexts;
use super::trouble::Troubles;
use super::watch::Watch;
use crate::access::{ContextSigner, TokenCache};
use crate::clock::{Clock, SharedClock, SystemClock};
use crate::config::Config;
use crate::metering::Journal;
use crate::observe::{AccessLog, Metrics};
use crate::shutdown::Shutdown;
use crate::tenancy::Directory;
use crate::tls::Challenges;
use crate::upstream::{Pool, PoolSettings};

/// How often a worker looks after its connections and hands over its access log.
const BEAT: Duration = Duration::from_millis(500);
/// After so many beats, what does not hold any more is forgotten.
const SWEEP: u64 = 60;
/// Verified tokens that a worker remembers, at least.
const TOKENS: usize = 8192;

/// What all workers share.
#[derive(Clone)]
pub struct Shared {
    /// Limits, hosts and policies.
    pub config: Arc<Config>,
    /// Tenants by host and key.
    pub directory: Arc<Directory>,
    /// Where usage is counted.
    pub journal: Arc<Journal>,
    /// Numbers for `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Usage windows follow it.
    pub clock: SharedClock,
    /// The access log.
    pub access: Arc<AccessLog>,
    /// For the TLS listener.
    pub tls: Option<Arc<ServerConfig>>,
    /// What redirects to https point to.
    pub https_port: u16,
    /// What certificate authorities are answered, where there is one.
    pub challenges: Option<Arc<Challenges>>,
    /// Takes notices of the payment provider, where there is one.
    pub notices: Option<Notices>,
    /// Signs the context of requests, where that is wanted.
    pub context: Option<Arc<ContextSigner>>,
    /// Connections of all workers.
    pub places: Arc<AtomicUsize>,
    /// Says when to stop.
    pub shutdown: Shutdown,
}

/// Starts a worker on its own listening sockets. It ends when the shutdown is over.
pub fn spawn_worker(index: usize, shared: Shared, listeners: Vec<(Listener, TcpListener)>) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let inside = runtime.enter();
    let listen = |(listener, socket)| Ok((listener, tokio::net::TcpListener::from_std(socket)?));
    let listeners = listeners.into_iter().map(listen).collect::<io::Result<Vec<_>>>()?;
    drop(inside);
    let name = format!("worker-{index}");
    std::thread::Builder::new().name(name).spawn(move || runtime.block_on(LocalSet::new().run_until(work(shared, listeners))))
}

async fn work(shared: Shared, listeners: Vec<(Listener, tokio::net::TcpListener)>) {
    let upstream = &shared.config.upstream;
    let settings = PoolSettings {
        connect_timeout: upstream.connect_timeout,
        response_timeout: upstream.response_timeout,
        idle_timeout: upstream.idle_timeout,
        max_head: 64 * 1024,
    };
    let worker = Rc::new(Worker {
        pool: Pool::new(settings, Arc::clone(&shared.metrics)),
        config: shared.config,
        directory: shared.directory,
        journal: shared.journal,
        metrics: shared.metrics,
        clock: shared.clock,
        access: shared.access.writer(),
        https_port: shared.https_port,
        challenges: shared.challenges,
        notices: shared.notices,
        buffers: Rc::default(),
        troubles: Troubles::default(),
        suspicions: Troubles::default(),
        tokens: RefCell::new(TokenCache::new(TOKENS)),
        contexts: shared.context.map(Contexts::of),
    });
    let watch = Rc::new(Watch::default());
    let mut loops = tokio::task::JoinSet::new();
    for (listener, socket) in listeners {
        let tls = shared.tls.clone().filter(|_| listener == Listener::Https);
        let door = Door { listener, tls, places: Arc::clone(&shared.places), shutdown: shared.shutdown.clone() };
        loops.spawn_local(accept(Rc::clone(&worker), Rc::clone(&watch), Rc::new(door), socket));
    }
    let beat = tokio::task::spawn_local(beat(Rc::clone(&worker), Rc::clone(&watch)));
    shared.shutdown.begun().await;
    // Sockets close with their loops; from now on nobody gets in.
    loops.shutdown().await;
    watch.drain();
    shared.shutdown.over().await;
    beat.abort();
    worker.access.flush();
}

async fn beat(worker: Rc<Worker>, watch: Rc<Watch>) {
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = 0_u64;
    loop {
        beats.tick().await;
        watch.look(&worker.config.limits);
        worker.pool.purge();
        worker.access.flush();
        count += 1;
        if count.is_multiple_of(SWEEP) {
            worker.tokens.borrow_mut().sweep(SystemClock.now());
            worker.contexts.iter().for_each(|contexts| contexts.sweep(SystemClock.now()));
        }
    }
}
