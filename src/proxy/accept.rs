//! Accept: from a socket to a connection that speaks HTTP: who is at its other end, the TLS handshake, what the connection is
//! bound to, and the protocol that was agreed on.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::connection::{Connection, Door, Permit};
use super::context::Worker;
use super::hold::Hold;
use super::patience::Patient;
use super::preface::is_http2;
use super::proxy_protocol::{Peer, peer_of};
use super::watch::Watch;
use super::{http1, http2};
use crate::clock::instant;
use crate::model::Host;
use crate::tls::ACME_PROTOCOL;

/// After an error of `accept`, such as too many open files.
const BREATH: Duration = Duration::from_millis(50);
/// Octets that the system holds for a client beyond those on their way. It takes as many as its buffer has room for else,
/// megabytes, and then none until a third of them is gone, which looks as if a slow client took nothing.
const UNSENT: u32 = 64 * 1024;

/// Takes connections until the task is dropped.
pub async fn accept(worker: Rc<Worker>, watch: Rc<Watch>, door: Rc<Door>, listener: TcpListener) {
    let max = worker.config.limits.max_connections;
    prepare(&listener, worker.config.limits.idle_timeout);
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

/// What connections have from their listener, so that each need not be told. Where it cannot be set, answers are only slower, and
/// a machine that vanished is noticed late.
fn prepare(listener: &TcpListener, idle_timeout: Duration) {
    let socket = SockRef::from(listener);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle_timeout));
    let _ = socket.set_tcp_notsent_lowat(UNSENT);
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused)
}

async fn welcome(worker: Rc<Worker>, watch: Rc<Watch>, door: Rc<Door>, mut stream: TcpStream, peer: SocketAddr, permit: Permit) {
    let deadline = Instant::from_std(instant() + worker.config.limits.header_timeout);
    let Some(peer) = peer_of(&worker, &door, &mut stream, peer, deadline).await else { return };
    let Some(config) = &door.tls else {
        return welcome_in_clear(worker, watch, &door, stream, peer, permit, deadline).await;
    };
    // Beneath TLS, which takes some octets that the socket does not take; and beneath what is held, which the client was not offered.
    let stream = Hold::new(Patient::new(stream, worker.config.limits.idle_timeout));
    let signs = stream.inner().signs();
    let shaken = timeout_at(deadline, TlsAcceptor::from(Arc::clone(config)).accept(stream)).await;
    let mut stream = match shaken {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            return worker.metrics.connection_refused(if has_no_certificate(&error) { "no_certificate" } else { "handshake" });
        }
        Err(_) => return worker.metrics.connection_refused("handshake"),
    };
    let (io, session) = stream.get_mut();
    // The tickets that end the handshake have time until the first answer.
    io.release();
    session.set_buffer_limit(Some(2 * http1::CHUNK));
    if session.alpn_protocol() == Some(ACME_PROTOCOL) {
        // An authority has seen what it wanted (RFC 8737, section 3); nothing is spoken here.
        let _ = stream.shutdown().await;
        return;
    }
    let is_http2 = session.alpn_protocol() == Some(b"h2");
    let name = session.server_name().and_then(|name| Host::parse(name).ok());
    let connection = connection(&worker, &door, peer, permit, name, !is_http2);
    // In a task of its own, since the room that the handshake took stays with this one.
    if is_http2 {
        tokio::task::spawn_local(http2::serve(worker, watch, connection, stream, signs));
    } else {
        tokio::task::spawn_local(http1::serve_over_tls(worker, &watch, connection, stream));
    }
}

/// Whether nobody has a certificate for the name that was asked for. rustls has only words for that.
fn has_no_certificate(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    matches!(cause, Some(rustls::Error::General(text)) if text.contains("no server certificate chain resolved"))
}

async fn welcome_in_clear(
    worker: Rc<Worker>,
    watch: Rc<Watch>,
    door: &Door,
    stream: TcpStream,
    peer: Peer,
    permit: Permit,
    deadline: Instant,
) {
    // Who is only pointed elsewhere need not be asked.
    let proxies = !door.listener.redirects(worker.config.tls.mode);
    let is_http2 = proxies && is_http2(&stream, door, deadline).await;
    let connection = connection(&worker, door, peer, permit, None, !is_http2);
    if is_http2 {
        let stream = Patient::new(stream, worker.config.limits.idle_timeout);
        let signs = stream.signs();
        tokio::task::spawn_local(http2::serve(worker, watch, connection, stream, signs));
    } else {
        tokio::task::spawn_local(http1::serve_in_clear(worker, &watch, connection, stream));
    }
}

fn connection(worker: &Worker, door: &Door, peer: Peer, permit: Permit, name: Option<Host>, is_http1: bool) -> Rc<Connection> {
    let started = instant();
    Rc::new(Connection {
        peer: peer.address,
        peer_is_known: peer.is_known,
        trusted: worker.config.listen.trusts(&peer.address),
        listener: door.listener,
        started,
        has_sni: name.is_some(),
        name: std::cell::RefCell::new(name.map(|name| name.as_str().into())),
        http1: is_http1.then(|| Rc::new(http1::State::new(started))),
        requests: Default::default(),
        open: Default::default(),
        carried: Default::default(),
        idle_since_ms: Default::default(),
        memory: Default::default(),
        _permit: permit,
    })
}
