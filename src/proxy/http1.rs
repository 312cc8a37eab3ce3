//! A client's HTTP/1.1 connection, from hyper's server with the framing guard beneath it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::connection::Connection;
use super::context::Worker;
use super::framing::{FramingLimits, FramingState, Guarded};
use super::handle;
use super::inbound::Inbound;
use super::patience::Patient;
use super::socket::Socket;
use super::watch::{Order, Watch};
use crate::config::Protection;

/// Octets of a body that are read, buffered or written at once.
pub const CHUNK: usize = 32 * 1024;
/// Octets that a [`http::Uri`] holds.
const MAX_TARGET: usize = 65_534;

/// Serves a connection in clear to its end, or to what the watch orders.
pub async fn serve_in_clear(worker: Rc<Worker>, watch: &Watch, connection: Rc<Connection>, tcp: TcpStream) {
    let state = framing_of(&connection);
    let limits = &worker.config.limits;
    let io = guarded(Patient::new(Socket::new(tcp, Arc::clone(&state)), limits.idle_timeout), state, limits);
    serve(worker, watch, connection, io.tolerating_half_close()).await;
}

/// Serves a connection over TLS likewise.
pub async fn serve_over_tls<IO>(worker: Rc<Worker>, watch: &Watch, connection: Rc<Connection>, tls: IO)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = guarded(tls, framing_of(&connection), &worker.config.limits);
    serve(worker, watch, connection, io).await;
}

fn framing_of(connection: &Connection) -> Arc<FramingState> {
    connection.framing.clone().unwrap_or_else(|| Arc::new(FramingState::new(connection.started)))
}

fn guarded<IO>(io: IO, state: Arc<FramingState>, limits: &Protection) -> Guarded<IO> {
    let framing = FramingLimits {
        max_head: limits.max_header_bytes,
        max_headers: limits.max_headers,
        max_target: limits.max_header_bytes.min(MAX_TARGET),
    };
    Guarded::new(io, state, framing)
}

async fn serve<IO>(worker: Rc<Worker>, watch: &Watch, connection: Rc<Connection>, io: Guarded<IO>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = &worker.config.limits;
    let mut builder = http1::Builder::new();
    // The guard and the watch keep the time of heads; hyper does not see one before it is whole.
    builder.header_read_timeout(None).max_buf_size(CHUNK.max(limits.max_header_bytes)).max_header_size(limits.max_header_bytes.max(8192));
    if limits.max_headers > 100 {
        builder.max_headers(limits.max_headers);
    }
    let watching = watch.over(Rc::clone(&connection));
    let service = service_fn(move |request| handle(Rc::clone(&worker), Rc::clone(&connection), request.map(Inbound::Http1), None));
    let mut served = pin!(builder.serve_connection(TokioIo::new(io), service).with_upgrades());
    let outcome = poll_fn(|cx| {
        match watching.order(cx) {
            Some(Order::Drain) => served.as_mut().graceful_shutdown(),
            Some(Order::Close) => return Poll::Ready(Ok(())),
            None => {}
        }
        served.as_mut().poll(cx)
    });
    if let Err(error) = outcome.await {
        tracing::debug!(%error, "a client's connection ended");
    }
}
