//! One origin with the addresses that the control plane knows for it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls::pki_types::ServerName;

use super::client_tls::ClientTls;
use crate::model::Origin;

/// Numbers targets, so that pools need not compare origins.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// Why an origin cannot be a target; the text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TargetError(pub(super) String);

/// How TLS is spoken with an origin.
#[derive(Clone)]
pub(super) struct TargetTls {
    pub(super) client: Arc<ClientTls>,
    /// What is asked for (SNI) and verified; none where the host is no name that a certificate can carry.
    pub(super) name: Option<ServerName<'static>>,
}

/// One origin with the addresses that the control plane has resolved.
pub struct Target {
    id: u64,
    origin: Origin,
    tls: Option<TargetTls>,
    addresses: ArcSwap<Vec<SocketAddr>>,
    /// Changes with the addresses.
    version: AtomicU64,
}

impl Target {
    /// `client` is used where TLS is spoken.
    pub(super) fn new(origin: Origin, client: &Arc<ClientTls>, addresses: Vec<SocketAddr>) -> Self {
        let tls = origin
            .scheme
            .is_tls()
            .then(|| TargetTls { client: Arc::clone(client), name: ServerName::try_from(origin.host.as_str().to_owned()).ok() });
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self { id, origin, tls, addresses: ArcSwap::from_pointee(addresses), version: AtomicU64::new(0) }
    }

    /// The origin.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Addresses as last resolved.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.load().as_ref().clone()
    }

    /// No other target of this process has it.
    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    /// Whether HTTP/2 is spoken with it.
    pub const fn is_http2(&self) -> bool {
        self.origin.scheme.is_http2()
    }

    pub(super) const fn tls(&self) -> Option<&TargetTls> {
        self.tls.as_ref()
    }

    /// Changes whenever the addresses do.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn has_address(&self, address: SocketAddr) -> bool {
        self.addresses.load().contains(&address)
    }

    /// Replaces the addresses; where they are the same, nothing happens.
    pub(super) fn publish(&self, addresses: Vec<SocketAddr>) {
        if **self.addresses.load() != addresses {
            self.addresses.store(Arc::new(addresses));
            self.version.fetch_add(1, Ordering::Release);
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("origin", &self.origin.to_string())
            .field("addresses", &self.addresses.load())
            .finish_non_exhaustive()
    }
}
