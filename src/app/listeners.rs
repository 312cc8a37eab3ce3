//! Listening sockets. Workers share a port through `SO_REUSEPORT`, which would let a second gateway slip in beside the first:
//! so the first socket of a port listens before it begins to share, and only one process can do that.

use std::net::{SocketAddr, TcpListener};

use anyhow::Context as _;
use socket2::{Domain, Protocol, Socket, Type};

use super::Addresses;
use crate::config::{Config, TlsMode};
use crate::proxy::Listener;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Every socket of the gateway.
pub(super) struct Listeners {
    /// Where they are; ports that were 0 are known now.
    pub addresses: Addresses,
    /// The data plane's, for each worker.
    pub workers: Vec<Vec<(Listener, TcpListener)>>,
    /// The admin API's.
    pub admin: TcpListener,
}

impl Listeners {
    /// Takes all ports, or says which is not free.
    pub(super) fn bind(config: &Config) -> anyhow::Result<Self> {
        let listen = &config.listen;
        let mut workers: Vec<Vec<(Listener, TcpListener)>> = Vec::new();
        workers.resize_with(listen.workers.max(1), Vec::new);
        let http = shared(listen.http, "listen.http", Listener::Http, &mut workers)?;
        let https = match config.tls.mode {
            TlsMode::Off => None,
            TlsMode::Files | TlsMode::Acme => Some(shared(listen.https, "listen.https", Listener::Https, &mut workers)?),
        };
        let admin = TcpListener::bind(listen.admin).with_context(|| not_free(listen.admin, "listen.admin"))?;
        admin.set_nonblocking(true)?;
        let addresses = Addresses { http, https, admin: admin.local_addr()? };
        Ok(Self { addresses, workers, admin })
    }
}

/// One socket for each worker on the same port.
fn shared(address: SocketAddr, key: &str, kind: Listener, workers: &mut [Vec<(Listener, TcpListener)>]) -> anyhow::Result<SocketAddr> {
    let mut address = address;
    for (index, worker) in workers.iter_mut().enumerate() {
        let socket = listening(address, index == 0).with_context(|| not_free(address, key))?;
        address = socket.local_addr()?;
        worker.push((kind, socket));
    }
    Ok(address)
}

/// A socket that listens and shares its port from then on: the first with none before it, others with those of its user.
fn listening(address: SocketAddr, first: bool) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(!first)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    // Not before it listens: until then, two processes could both have bound it.
    socket.set_reuse_port(true)?;
    Ok(socket.into())
}

fn not_free(address: SocketAddr, key: &str) -> String {
    format!("{key} = \"{address}\" cannot be listened on; stop what uses it, or set another address")
}
