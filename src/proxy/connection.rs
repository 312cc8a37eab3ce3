//! A connection of a client: where it came from, what it is bound to, and its place among all of them.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rustls::ServerConfig;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::http1::State;
use super::http2::Carried;
use super::site::Remembered;
use crate::clock::instant;
use crate::config::TlsMode;
use crate::observe::Metrics;
use crate::shutdown::Shutdown;

/// Which listener a connection came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// Plaintext.
    Http,
    /// TLS.
    Https,
}

impl Listener {
    /// Its name in `/metrics`, and the scheme of its requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// True where requests are only pointed to https.
    pub fn redirects(self, mode: TlsMode) -> bool {
        self == Self::Http && mode != TlsMode::Off
    }
}

/// A listener as the accept loop needs it.
pub struct Door {
    /// Which one.
    pub listener: Listener,
    /// Its TLS, if it has.
    pub tls: Option<Arc<ServerConfig>>,
    /// Connections of all workers.
    pub places: Arc<AtomicUsize>,
    /// Waits for connections.
    pub shutdown: Shutdown,
}

/// One connection of a client.
pub struct Connection {
    /// The other end; of a connection that a trusted proxy passes on, the other end of the proxy's.
    pub peer: IpAddr,
    /// False where such a proxy does not tell; `peer` is the proxy then. Its networks are trusted, but whoever is behind it
    /// may be anyone.
    pub peer_is_known: bool,
    /// Whether what the peer says about those behind it is continued.
    pub trusted: bool,
    /// Where it came in.
    pub listener: Listener,
    /// When it was accepted.
    pub started: Instant,
    /// Whether the TLS handshake asked for a name; without one it got the default certificate.
    pub has_sni: bool,
    /// The name that the TLS handshake asked for, or (without one) the first host named; requests must belong to it.
    pub name: RefCell<Option<Box<str>>>,
    /// What it is doing, on HTTP/1.1.
    pub http1: Option<Rc<State>>,
    /// Requests begun.
    pub requests: Cell<u64>,
    /// Requests that have not ended.
    pub open: Cell<u32>,
    /// Octets of answers that were written, over HTTP/2.
    pub carried: Carried,
    /// Milliseconds after `started` at which the last request ended.
    pub idle_since_ms: Cell<u64>,
    /// The last host, resolved.
    pub memory: RefCell<Option<Remembered>>,
    /// Its place among `limits.max_connections`.
    pub _permit: Permit,
}

/// A connection's place, held until it and every tunnel made of it have ended; the drain waits for it.
pub struct Permit {
    places: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
    listener: Listener,
    _hold: TaskTrackerToken,
}

impl Permit {
    /// Takes a place where one of `max` is free.
    pub fn take(places: &Arc<AtomicUsize>, max: usize, metrics: &Arc<Metrics>, listener: Listener, shutdown: &Shutdown) -> Option<Self> {
        // The count publishes nothing else, so relaxed is enough.
        places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| (taken < max).then_some(taken + 1)).ok()?;
        metrics.connections(listener.name(), 1);
        Some(Self { places: Arc::clone(places), metrics: Arc::clone(metrics), listener, _hold: shutdown.hold() })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.places.fetch_sub(1, Ordering::Relaxed);
        self.metrics.connections(self.listener.name(), -1);
    }
}

impl Connection {
    /// Milliseconds since the connection was accepted.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(instant().saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }
}
