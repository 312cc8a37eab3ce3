//! New connections: which address is tried when, and TLS on top.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::client_tls::tls_fault;
use super::connection::Connection;
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

impl Shared {
    /// A connection to the first of `targets` that takes one, from number `first` on. An idle one of a target comes before a
    /// new one, unless `fresh`.
    pub(super) async fn connect(&self, targets: &[Arc<Target>], first: usize, fresh: bool) -> Result<Connection, SendError> {
        let mut last_error = None;
        let mut shunned = Vec::new();
        for number in 0..targets.len() {
            let target = &targets[(first + number) % targets.len()];
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

    async fn dial(&self, target: &Arc<Target>, address: SocketAddr) -> Result<Connection, SendError> {
        let patience = self.settings.connect_timeout;
        let what = || format!("no connection to {} at {address}", target.origin());
        let outcome = match tokio::time::timeout(patience, open(target, address)).await {
            Ok(Ok(stream)) => Ok(Connection::new(stream, Arc::clone(target), address, clock::instant())),
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
    let name = tls.name.clone().ok_or_else(|| std::io::Error::other("no certificate can carry the name of this host"))?;
    let connector = TlsConnector::from(Arc::clone(&tls.config));
    let limit = |connection: &mut rustls::ClientConnection| connection.set_buffer_limit(Some(TLS_BUFFER));
    Ok(Stream::Tls(Box::new(connector.connect_with(name, tcp, limit).await?)))
}

fn names(targets: &[Arc<Target>]) -> String {
    let names: Vec<_> = targets.iter().map(|target| target.origin().to_string()).collect();
    if names.is_empty() { "any upstream".to_owned() } else { names.join(", ") }
}
