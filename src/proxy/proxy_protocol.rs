//! The PROXY protocol, where a trusted proxy passes connections on without reading them: who is at the other end of one.
//! Its header is taken off to the octet, as TLS or HTTP follows at once; nobody else's is looked at.

mod header;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use self::header::{DECIDED, Malformed, Source, Verdict, verdict};
use super::connection::Door;
use super::context::Worker;

/// Whom a connection is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the socket, or whom a trusted proxy names.
    pub address: IpAddr,
    /// False where a trusted proxy does not tell who is behind it; `address` is the proxy then.
    pub is_known: bool,
}

/// Why a trusted proxy's connection is not served.
#[derive(Debug, Error)]
enum Fault {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("its PROXY header is not whole within limits.header_timeout")]
    Late,
    #[error("it ends within its PROXY header")]
    Cut,
    #[error("it ends before its PROXY header")]
    Empty,
}

/// Who is at the other end of `stream`: the socket's own peer, or whom it names in the PROXY header that it has to send
/// first if it is one of `listen.trusted_proxies`. `None` is a refusal, counted and told.
pub async fn peer_of(worker: &Worker, door: &Door, stream: &mut TcpStream, socket: SocketAddr, deadline: Instant) -> Option<Peer> {
    let listen = &worker.config.listen;
    let address = socket.ip().to_canonical();
    if !listen.proxy_protocol || !listen.trusts(&address) {
        return Some(Peer { address, is_known: true });
    }
    match timeout_at(deadline, read(stream)).await.unwrap_or(Err(Fault::Late)) {
        Ok(Source::Client(client)) => Some(Peer { address: client.to_canonical(), is_known: true }),
        Ok(Source::Proxy) => Some(Peer { address, is_known: true }),
        Ok(Source::Untold) => Some(Peer { address, is_known: false }),
        Err(fault) => {
            worker.metrics.connection_refused("proxy_protocol");
            tell(worker, door, address, &fault);
            None
        }
    }
}

/// Whoever only tries whether the port is open, as simple health checks do, is no trouble.
fn tell(worker: &Worker, door: &Door, proxy: IpAddr, fault: &Fault) {
    let listener = door.listener.name();
    if matches!(fault, Fault::Empty) {
        return tracing::debug!(listener, %proxy, reason = %fault, "a trusted proxy's connection is not served");
    }
    worker
        .troubles
        .tell(|left_out| tracing::warn!(listener, %proxy, left_out, reason = %fault, "a trusted proxy's connection is not served"));
}

/// Takes the header off the stream.
async fn read(stream: &mut TcpStream) -> Result<Source, Fault> {
    let mut octets = [0; DECIDED];
    let mut taken = 0;
    loop {
        // What follows the header must stay in the socket, so octets are looked at before they are taken.
        let seen = match stream.peek(octets.get_mut(taken..).unwrap_or_default()).await {
            Ok(seen @ 1..) => taken + seen,
            Ok(0) | Err(_) => return Err(if taken == 0 { Fault::Empty } else { Fault::Cut }),
        };
        match verdict(octets.get(..seen).unwrap_or_default())? {
            Verdict::Partial => skip(stream, seen - taken).await?,
            Verdict::Known { len, source } => {
                // What was taken so far gave no verdict, so the header is longer.
                skip(stream, len - taken).await?;
                return Ok(source);
            }
        }
        taken = seen;
    }
}

/// Takes so many octets.
async fn skip(stream: &mut TcpStream, mut count: usize) -> Result<(), Fault> {
    let mut octets = [0; 256];
    while count > 0 {
        let piece = count.min(octets.len());
        match stream.read(octets.get_mut(..piece).unwrap_or_default()).await {
            Ok(read @ 1..) => count -= read,
            Ok(0) | Err(_) => return Err(Fault::Cut),
        }
    }
    Ok(())
}
