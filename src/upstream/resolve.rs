//! From origins to addresses: the only place of this folder that asks the system's resolver, always off the request path.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, Semaphore};

use super::client_tls::{ClientTls, TlsFiles};
use super::{Target, TargetError};
use crate::clock;
use crate::model::Origin;
use crate::model::origin::is_forbidden;

/// How often a name is resolved anew.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long one look-up may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Targets that are kept for those who are about to use them.
const EXPECTED: usize = 16;
/// Look-ups at the same time; each holds a thread of the runtime.
const AT_ONCE: usize = 16;

type Lookup = Box<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// What is known of a target in use.
struct Entry {
    target: Weak<Target>,
    /// When the name is to be resolved; none for addresses, and while it is being resolved.
    due: Option<Instant>,
    /// Whether the last look-up failed, so that a change is logged once.
    failing: bool,
}

/// Shared by the control plane: one target for each origin in use. A target that nobody holds is forgotten.
pub struct Resolver {
    forbidden: Vec<SocketAddr>,
    tls: Arc<ClientTls>,
    entries: DashMap<Origin, Entry>,
    lookup: Lookup,
    wanted: Notify,
    /// The last targets that were asked about; somebody may hold them soon.
    expected: Mutex<VecDeque<Arc<Target>>>,
}

impl Resolver {
    /// `forbidden`: the gateway's own listeners. `files`: for upstreams over TLS.
    ///
    /// # Errors
    /// A file cannot be read, or has nothing usable.
    pub fn new(forbidden: Vec<SocketAddr>, files: TlsFiles<'_>) -> Result<Self, TargetError> {
        let threads = Arc::new(Semaphore::new(AT_ONCE));
        let system: Lookup = Box::new(move |host, port| Box::pin(ask_system(Arc::clone(&threads), host, port)));
        Self::with_lookup(forbidden, files, system)
    }

    pub(super) fn with_lookup(forbidden: Vec<SocketAddr>, files: TlsFiles<'_>, lookup: Lookup) -> Result<Self, TargetError> {
        Ok(Self {
            forbidden,
            tls: ClientTls::load(files)?,
            entries: DashMap::new(),
            lookup,
            wanted: Notify::new(),
            expected: Mutex::default(),
        })
    }

    /// Takes over a client certificate whose files have changed; waits for the disk. Called by a job.
    pub fn refresh_files(&self) {
        self.tls.refresh();
    }

    /// The target of an origin, the same one for equal origins as long as anybody holds it; a new name is resolved by the
    /// next [`refresh`](Self::refresh), an address at once. Makes no look-up.
    pub fn target(&self, origin: &Origin) -> Arc<Target> {
        if let Some(known) = self.entries.get(origin).and_then(|entry| entry.target.upgrade()) {
            return known;
        }
        let address = origin.address().map(|ip| SocketAddr::new(ip, origin.port));
        let addresses = address.into_iter().filter(|address| self.refusal(*address).is_none()).collect();
        let fresh = Arc::new(Target::new(origin.clone(), &self.tls, addresses));
        let due = address.is_none().then(clock::instant);
        let mut entry = self.entries.entry(origin.clone()).or_insert_with(|| Entry { target: Weak::new(), due, failing: false });
        // Someone else may have been faster.
        if let Some(known) = entry.target.upgrade() {
            return known;
        }
        *entry = Entry { target: Arc::downgrade(&fresh), due, failing: false };
        drop(entry);
        if due.is_some() {
            self.wanted.notify_one();
        }
        fresh
    }

    /// Refuses own listeners and forbidden addresses (names are resolved; a name that does not resolve is fine).
    ///
    /// # Errors
    /// The text names the address and says what to do.
    pub async fn check(&self, origin: &Origin) -> Result<(), TargetError> {
        let addresses = match origin.address() {
            Some(ip) => vec![SocketAddr::new(ip, origin.port)],
            None => self.look_up(origin).await.unwrap_or_default(),
        };
        for address in &addresses {
            if let Some(what) = self.refusal(*address) {
                let text = format!("`{origin}` leads to {address}, {what}; name the address of the app itself");
                return Err(TargetError(text));
            }
        }
        if !addresses.is_empty() {
            self.expect(origin, addresses);
        }
        Ok(())
    }

    /// Keeps what was found for a target that is about to be used, so that its first request need not wait for another look-up.
    fn expect(&self, origin: &Origin, addresses: Vec<SocketAddr>) {
        let target = self.target(origin);
        target.publish(addresses);
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        expected.truncate(EXPECTED - 1);
        expected.push_front(target);
    }

    /// Waits until a name is asked for that was never resolved, so that [`refresh`](Self::refresh) need not wait for its
    /// next second.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Resolves what is due (every 10 s, new ones at once); keeps the old addresses where it fails. Called by a job,
    /// which need not wait for the last call to end: each name is in one call only.
    pub async fn refresh(&self) {
        let due = self.take_due(clock::instant());
        futures_util::stream::iter(due).for_each_concurrent(AT_ONCE, Turn::take).await;
    }

    /// The targets to resolve now; forgets those that nobody holds.
    fn take_due(&self, now: Instant) -> Vec<Turn<'_>> {
        let mut due = Vec::new();
        self.entries.retain(|_, entry| {
            let Some(target) = entry.target.upgrade() else { return false };
            if entry.due.is_some_and(|at| at <= now) {
                entry.due = None;
                due.push(Turn { resolver: self, target, next: now });
            }
            true
        });
        due
    }

    pub(super) async fn resolve(&self, target: &Target) {
        let origin = target.origin();
        let trouble = match self.look_up(origin).await {
            Ok(mut found) => {
                found.retain(|address| self.refusal(*address).is_none());
                let trouble = found.is_empty().then(|| "it leads only to addresses that are never an app".to_owned());
                target.publish(found);
                trouble
            }
            Err(error) => Some(format!("{error}; its last addresses stay in use")),
        };
        let changed = self.entries.get_mut(origin).is_some_and(|mut entry| {
            let before = std::mem::replace(&mut entry.failing, trouble.is_some());
            before != trouble.is_some()
        });
        match trouble {
            Some(trouble) if changed => tracing::warn!(%origin, "an upstream's name does not resolve: {trouble}"),
            None if changed => tracing::info!(%origin, "an upstream's name resolves again"),
            _ => {}
        }
    }

    /// The addresses in the order of the system, each once.
    async fn look_up(&self, origin: &Origin) -> io::Result<Vec<SocketAddr>> {
        let looking = (self.lookup)(origin.host.as_str().to_owned(), origin.port);
        let found = tokio::time::timeout(PATIENCE, looking).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        let mut seen = BTreeSet::new();
        Ok(found.into_iter().filter(|address| seen.insert(*address)).collect())
    }

    /// What an address is, where it must not be called.
    fn refusal(&self, address: SocketAddr) -> Option<&'static str> {
        if is_forbidden(address.ip()) {
            return Some("a link-local, multicast or unspecified address, which is never an app");
        }
        self.is_own_listener(address).then_some("one of the gateway's own listeners")
    }

    fn is_own_listener(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        self.forbidden.iter().filter(|own| own.port() == address.port()).any(|own| {
            let own = own.ip().to_canonical();
            own == ip || (own.is_unspecified() && is_local(ip))
        })
    }
}

/// A name that is being resolved. Where that is broken off, it is due again at once.
struct Turn<'r> {
    resolver: &'r Resolver,
    target: Arc<Target>,
    next: Instant,
}

impl Turn<'_> {
    async fn take(mut self) {
        self.resolver.resolve(&self.target).await;
        self.next = clock::instant() + INTERVAL;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(mut entry) = self.resolver.entries.get_mut(self.target.origin()) {
            entry.due = Some(self.next);
        }
    }
}

/// Asks the system's resolver. It blocks a thread until it answers, whoever still waits; the permit is held as long.
async fn ask_system(threads: Arc<Semaphore>, host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let permit = threads.acquire_owned().await.map_err(io::Error::other)?;
    let asked = tokio::task::spawn_blocking(move || {
        let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        drop(permit);
        found
    });
    asked.await.map_err(io::Error::other)?
}

/// Whether an address belongs to this machine: only then can a socket be bound to it.
fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}
