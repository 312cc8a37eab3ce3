//! New connections: which address is tried when, and TLS on top.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::error::Elapsed;
use tokio_rustls::TlsConnector;

use super::client_tls::{HTTP2_PROTOCOL, Handshake, tls_fault};
use super::connection::Connection;
use super::http2::{Hub, Lease, Link};
use super::pool::Shared;
use super::stream::Stream;
use super::{SendError, Target};
use crate::clock;

/// For so long after it failed, an address is tried after all others.
const SHUNNED: Duration = Duration::from_secs(2);
/// After so much silence the system asks whether the other machine is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Octets that TLS takes in before the socket has taken them.
const TLS_BUFFER: usize = 32 * 1024;

/// Addresses that failed lately, and when.
#[derive(Default)]
pub(super) struct Failed {
    at: HashMap<SocketAddr, Instant>,
}

impl Failed {
    fn shuns(&self, address: SocketAddr, now: Instant) -> bool {
        self.at.get(&address).is_some_and(|at| now < *at + SHUNNED)
    }

    fn note(&mut self, address: SocketAddr, now: Instant) {
        self.at.insert(address, now);
    }

    fn forgive(&mut self, address: SocketAddr) {
        if !self.at.is_empty() {
            self.at.remove(&address);
        }
    }

    /// Forgets what is over.
    pub(super) fn purge(&mut self, now: Instant) {
        self.at.retain(|_, at| now < *at + SHUNNED);
    }
}

/// A place for one request.
pub(super) enum Taken {
    /// HTTP/1.1: all of a connection.
    Connection(Box<Connection>),
    /// HTTP/2: one of its streams.
    Stream(Lease),
}

impl Shared {
    /// An HTTP/1.1 connection to the first of `targets` that takes one, from number `first` on. An idle one of a target comes before a
    /// new one, unless `fresh`.
    ///
    /// Nearly always there is an idle one: the future of opening another is in a box, so that it is no burden on all requests.
    pub(super) async fn connect(&self, targets: &[Arc<Target>], first: usize, fresh: bool) -> Result<Box<Connection>, SendError> {
        let next = in_turn(targets, first).next().filter(|target| !fresh && !target.is_http2());
        match next.and_then(|target| self.take_idle(target)) {
            Some(connection) => Ok(connection),
            None => Box::pin(self.connect_first(targets, first, fresh)).await,
        }
    }

    async fn connect_first(&self, targets: &[Arc<Target>], first: usize, fresh: bool) -> Result<Box<Connection>, SendError> {
        let mut last_error = None;
        let mut shunned = Vec::new();
        for target in in_turn(targets, first).filter(|target| !target.is_http2()) {
            if let Some(connection) = (!fresh).then(|| self.take_idle(target)).flatten() {
                return Ok(connection);
            }
            for address in target.addresses() {
                if self.failed.borrow().shuns(address, clock::instant()) {
                    shunned.push((target, address));
                    continue;
                }
                match self.dial(target, address).await {
                    Ok(connection) => return Ok(connection),
                    Err(error) => last_error = Some(error),
                }
            }
        }
        for (target, address) in shunned {
            match self.dial(target, address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.unwrap_or_else(|| SendError::NoAddress(names(targets))))
    }

    /// A place on the first of `targets`, of either kind, that has one, from number `first` on.
    pub(super) async fn connect_any(self: &Rc<Self>, targets: &[Arc<Target>], first: usize) -> Result<Taken, SendError> {
        let next = in_turn(targets, first).next().filter(|target| target.is_http2());
        if let Some(lease) = next.and_then(|target| self.hub(target).take(0)) {
            return Ok(Taken::Stream(lease));
        }
        let mut last_error = None;
        for target in self.promising_first(in_turn(targets, first)) {
            let taken = if target.is_http2() {
                self.hub(target).lease(self, 0).await.map(Taken::Stream)
            } else {
                self.connect(std::slice::from_ref(target), 0, false).await.map(Taken::Connection)
            };
            match taken {
                Ok(taken) => return Ok(taken),
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.unwrap_or_else(|| SendError::NoAddress(names(targets))))
    }

    /// A place on an HTTP/2 connection; a number `after` keeps from it those that are not newer.
    pub(super) async fn connect_http2(self: &Rc<Self>, targets: &[Arc<Target>], first: usize, after: u64) -> Result<Lease, SendError> {
        let mut last_error = None;
        for target in self.promising_first(in_turn(targets, first)).into_iter().filter(|target| target.is_http2()) {
            match self.hub(target).lease(self, after).await {
                Ok(lease) => return Ok(lease),
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.unwrap_or_else(|| SendError::NoAddress(names(targets))))
    }

    /// Those of which all addresses have failed lately come last.
    fn promising_first<'t>(&self, targets: impl Iterator<Item = &'t Arc<Target>>) -> Vec<&'t Arc<Target>> {
        let now = clock::instant();
        let mut targets: Vec<_> = targets.collect();
        targets.sort_by_cached_key(|target| {
            let failed = self.failed.borrow();
            let has_room = target.is_http2() && self.hub(target).has_room();
            !has_room && target.addresses().iter().all(|address| failed.shuns(*address, now))
        });
        targets
    }

    /// Opens an HTTP/2 connection to one of the addresses of the hub's target.
    pub(super) async fn open_link(&self, hub: &Rc<Hub>, number: u64) -> Result<Link, SendError> {
        let target = &hub.target;
        let mut last_error = None;
        let mut addresses = target.addresses();
        let now = clock::instant();
        addresses.sort_by_cached_key(|address| self.failed.borrow().shuns(*address, now));
        for address in addresses {
            let opening = async {
                let stream = open(target, address).await?;
                Link::open(stream, address, hub, number, self.settings.max_head).await.map_err(std::io::Error::other)
            };
            let outcome = tokio::time::timeout(self.settings.connect_timeout, opening).await;
            match self.note(target, address, outcome) {
                Ok(link) => return Ok(link),
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.unwrap_or_else(|| SendError::NoAddress(target.origin().to_string())))
    }

    async fn dial(&self, target: &Arc<Target>, address: SocketAddr) -> Result<Box<Connection>, SendError> {
        let outcome = tokio::time::timeout(self.settings.connect_timeout, open(target, address)).await;
        let stream = self.note(target, address, outcome)?;
        Ok(Connection::new(stream, Arc::clone(target), address, clock::instant()))
    }

    /// Remembers how an attempt ended.
    fn note<T>(&self, target: &Target, address: SocketAddr, outcome: Result<std::io::Result<T>, Elapsed>) -> Result<T, SendError> {
        let patience = self.settings.connect_timeout;
        let what = || format!("no connection to {} at {address}", target.origin());
        let outcome = match outcome {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(error)) => {
                let text = format!("{}: {error}", what());
                Err(match tls_fault(&error) {
                    Some(fault) => SendError::Tls(fault, text),
                    None => SendError::Unreachable(text),
                })
            }
            Err(_) => Err(SendError::ConnectTimeout(format!("{} within {patience:?}", what()))),
        };
        let mut failed = self.failed.borrow_mut();
        if outcome.is_ok() {
            failed.forgive(address);
        } else {
            failed.note(address, clock::instant());
        }
        outcome
    }
}

async fn open(target: &Target, address: SocketAddr) -> std::io::Result<Stream> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    // An app whose machine is gone says nothing; without this, whoever waits for the rest of its answer waits for ever.
    SockRef::from(&tcp).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    let Some(tls) = target.tls() else { return Ok(Stream::Clear(tcp)) };
    let fault = |error| std::io::Error::other(Handshake(error));
    let name = tls.name.clone().ok_or_else(|| fault(std::io::Error::other("no certificate can carry the name of this host")))?;
    let connector = TlsConnector::from(tls.client.config(target.is_http2()));
    let limit = |connection: &mut rustls::ClientConnection| connection.set_buffer_limit(Some(TLS_BUFFER));
    let stream = connector.connect_with(name, tcp, limit).await.map_err(fault)?;
    if target.is_http2() && stream.get_ref().1.alpn_protocol() != Some(HTTP2_PROTOCOL) {
        return Err(fault(std::io::Error::other("its TLS does not agree on HTTP/2 (ALPN `h2`); write `https://` if it speaks HTTP/1.1")));
    }
    Ok(Stream::Tls(Box::new(stream)))
}

fn in_turn(targets: &[Arc<Target>], first: usize) -> impl Iterator<Item = &Arc<Target>> {
    (0..targets.len()).map(move |number| &targets[(first + number) % targets.len()])
}

fn names(targets: &[Arc<Target>]) -> String {
    let names: Vec<_> = targets.iter().map(|target| target.origin().to_string()).collect();
    if names.is_empty() { "any upstream".to_owned() } else { names.join(", ") }
}
