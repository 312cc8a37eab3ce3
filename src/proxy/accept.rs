//! Accept: from a socket to a connection that speaks HTTP: who is at its other end, the TLS handshake, what the connection is bound to, and the
//! protocol that was agreed on.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::connection::{Connection, Door, Permit};
use super::context::Worker;
use super::framing::{FramingLimits, FramingState, Guarded};
use super::inbound::Inbound;
use super::patience::Patient;
use super::proxy_protocol::{Peer, peer_of};
use super::watch::{Order, Watch, Watching};
use super::{handle, http2};
use crate::clock::instant;
use crate::model::Host;

/// Octets of a body that are read, buffered or written at once.
const CHUNK: usize = 32 * 1024;
/// After an error of `accept`, such as too many open files.
const BREATH: Duration = Duration::from_millis(50);

/// Takes connections until the task is dropped.
pub async fn accept(worker: Rc<Worker>, watch: Rc<Watch>, door: Rc<Door>, listener: TcpListener) {
    let max = worker.config.limits.max_connections;
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                worker
                    .troubles
                    .tell(|left_out| tracing::error!(listener = door.listener.name(), left_out, %error, "no connection can be accepted"));
                sleep(BREATH).await;
                continue;
            }
        };
        match Permit::take(&door.places, max, &worker.metrics, door.listener, &door.shutdown) {
            Some(permit) => {
                tokio::task::spawn_local(welcome(Rc::clone(&worker), Rc::clone(&watch), Rc::clone(&door), stream, peer, permit));
            }
            None => worker.metrics.connection_refused("limit"),
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused)
}

async fn welcome(worker: Rc<Worker>, watch: Rc<Watch>, door: Rc<Door>, mut stream: TcpStream, peer: SocketAddr, permit: Permit) {
    // Where they cannot be set, answers are only slower, and a machine that vanished is noticed late.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(worker.config.limits.idle_timeout));
    let deadline = Instant::from_std(instant() + worker.config.limits.header_timeout);
    let Some(peer) = peer_of(&worker, &door, &mut stream, peer, deadline).await else { return };
    let Some(config) = &door.tls else {
        let connection = connection(&worker, &door, peer, permit, None, true);
        return http1(worker, &watch, connection, stream).await;
    };
    let shaken = timeout_at(deadline, TlsAcceptor::from(Arc::clone(config)).accept(stream)).await;
    let Ok(Ok(mut stream)) = shaken else { return worker.metrics.connection_refused("handshake") };
    let session = stream.get_mut().1;
    session.set_buffer_limit(Some(2 * CHUNK));
    let is_http2 = session.alpn_protocol() == Some(b"h2");
    let name = session.server_name().and_then(|name| Host::parse(name).ok());
    let connection = connection(&worker, &door, peer, permit, name, !is_http2);
    if is_http2 { http2::serve(worker, &watch, connection, stream).await } else { http1(worker, &watch, connection, stream).await }
}

fn connection(worker: &Worker, door: &Door, peer: Peer, permit: Permit, name: Option<Host>, guarded: bool) -> Rc<Connection> {
    let started = instant();
    Rc::new(Connection {
        peer: peer.address,
        peer_is_known: peer.is_known,
        trusted: worker.config.listen.trusts(&peer.address),
        listener: door.listener,
        started,
        has_sni: name.is_some(),
        name: std::cell::RefCell::new(name.map(|name| name.as_str().into())),
        framing: guarded.then(|| Arc::new(FramingState::new(started))),
        requests: Default::default(),
        open: Default::default(),
        idle_since_ms: Default::default(),
        turns: Default::default(),
        memory: Default::default(),
        _permit: permit,
    })
}

async fn http1<IO>(worker: Rc<Worker>, watch: &Watch, connection: Rc<Connection>, io: IO)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = &worker.config.limits;
    let framing = FramingLimits { max_head: limits.max_header_bytes, max_headers: limits.max_headers, max_target: limits.max_header_bytes };
    let state = connection.framing.clone().unwrap_or_else(|| Arc::new(FramingState::new(connection.started)));
    let io = TokioIo::new(Guarded::new(Patient::new(io, limits.idle_timeout), state, framing));
    let mut builder = http1::Builder::new();
    // The guard and the watch keep the time of heads; hyper does not see one before it is whole.
    builder.header_read_timeout(None).max_buf_size(CHUNK.max(limits.max_header_bytes)).max_header_size(limits.max_header_bytes.max(8192));
    if limits.max_headers > 100 {
        builder.max_headers(limits.max_headers);
    }
    let watching = watch.over(Rc::clone(&connection));
    let service = service_fn(move |request| handle(Rc::clone(&worker), Rc::clone(&connection), request.map(Inbound::Http1), None));
    let served = builder.serve_connection(io, service).with_upgrades();
    drive(served, &watching, http1::UpgradeableConnection::graceful_shutdown).await;
}

/// Runs a connection to its end, or to what the watch orders; `finish` makes it take nothing new.
async fn drive<C>(connection: C, watching: &Watching<'_>, finish: impl Fn(Pin<&mut C>))
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let outcome = poll_fn(|cx| {
        match watching.order(cx) {
            Some(Order::Drain) => finish(connection.as_mut()),
            Some(Order::Close) => return Poll::Ready(Ok(())),
            None => {}
        }
        connection.as_mut().poll(cx)
    });
    if let Err(error) = outcome.await {
        tracing::debug!(%error, "a client's connection ended");
    }
}
