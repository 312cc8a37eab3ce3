//! A client's HTTP/1.1 connection (RFC 9112): requests are read, handled and answered one after the other, in one task.
//!
//! What it promises: a head is parsed once, out of the buffer that it was read into; a small request costs one read and one
//! write; an idle connection holds neither a buffer nor room for the handling of a request.

mod buffers;
mod half_closed;
mod linger;
mod reader;
mod response;
mod served;
mod state;
#[cfg(test)]
mod tests;
mod upgraded;
mod upload;
mod writer;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use self::half_closed::End;
use self::reader::Reader;
use self::served::{Answerer, Over, Served};
use self::writer::Writer;
use super::connection::Connection;
use super::context::Worker;
use super::framing::FramingLimits;
use super::hold::Holds;
use super::inbound::Inbound;
use super::patience::Patient;
use super::sight::Sighted;
use super::socket::Socket;
use super::watch::{Order, Watch, Watching};
use super::{Handled, handle};
use crate::config::Protection;
use crate::message::RequestHead;

pub use self::buffers::Buffers;
pub use self::state::{Phase, State};
pub use self::upgraded::Upgraded;
pub use self::upload::Upload;

/// Octets of a body that are read, buffered or written at once.
pub const CHUNK: usize = 32 * 1024;
/// Octets that a [`http::Uri`] holds.
const MAX_TARGET: usize = 65_534;

/// Serves a connection in clear to its end, or to what the watch orders.
pub fn serve_in_clear(worker: Rc<Worker>, watch: &Rc<Watch>, connection: Rc<Connection>, tcp: TcpStream) -> Serving<Patient<Socket>> {
    let state = state_of(&connection);
    let io = Patient::new(Socket::new(tcp, Rc::clone(&state)), worker.config.limits.idle_timeout);
    Serving::new(worker, watch, connection, state, io, End::Tolerated)
}

/// Serves a connection over TLS likewise.
pub fn serve_over_tls<IO>(worker: Rc<Worker>, watch: &Rc<Watch>, connection: Rc<Connection>, tls: IO) -> Serving<IO>
where
    IO: AsyncRead + AsyncWrite + Sighted + Holds + Unpin + 'static,
{
    let state = state_of(&connection);
    Serving::new(worker, watch, connection, state, tls, End::Final)
}

fn state_of(connection: &Connection) -> Rc<State> {
    connection.http1.clone().unwrap_or_else(|| Rc::new(State::new(connection.started)))
}

fn framing(limits: &Protection) -> FramingLimits {
    FramingLimits {
        max_head: limits.max_header_bytes,
        max_headers: limits.max_headers,
        max_target: limits.max_header_bytes.min(MAX_TARGET),
    }
}

/// A connection that is served.
// By hand: an `async fn` would have room for the connection twice, where it is handed over and where it is used.
pub struct Serving<IO> {
    /// None at the end.
    served: Option<Served<IO, Site>>,
    state: Rc<State>,
    watching: Watching,
}

/// Where requests are handled.
struct Site {
    worker: Rc<Worker>,
    connection: Rc<Connection>,
}

impl Answerer for Site {
    fn answer(&self, head: RequestHead, body: Inbound) -> Handled {
        handle(Rc::clone(&self.worker), Rc::clone(&self.connection), head, body, None)
    }
}

impl<IO: AsyncRead + AsyncWrite + Sighted + Holds + Unpin + 'static> Serving<IO> {
    fn new(worker: Rc<Worker>, watch: &Rc<Watch>, connection: Rc<Connection>, state: Rc<State>, io: IO, end: End) -> Self {
        let buffers = Rc::clone(&worker.buffers);
        let small = if matches!(end, End::Tolerated) { writer::SMALL } else { writer::SMALL_OVER_TLS };
        let reader = Reader::new(framing(&worker.config.limits), Rc::clone(&buffers), end);
        let watching = watch.over(Rc::clone(&connection));
        let served = Served::new(io, Site { worker, connection }, Rc::clone(&state), reader, Writer::new(buffers, small));
        Self { served: Some(served), state, watching }
    }
}

impl<IO: AsyncRead + AsyncWrite + Sighted + Holds + Unpin + 'static> Future for Serving<IO> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Some(served) = &mut this.served else { return Poll::Ready(()) };
        match this.watching.order(cx) {
            Some(Order::Drain) => served.drain(),
            Some(Order::Close) => return Poll::Ready(()),
            None => {}
        }
        match ready!(served.poll(cx)) {
            Over::Ended => {}
            Over::Broken(error) => tracing::debug!(%error, "a client's connection ended"),
            Over::Switched => {
                if let (Some(served), Some(tunnel)) = (this.served.take(), this.state.take_tunnel()) {
                    // Fails where the exchange has ended; then so does the connection.
                    drop(tunnel.send(served.into_upgraded()));
                }
            }
        }
        Poll::Ready(())
    }
}

impl<IO> Drop for Serving<IO> {
    fn drop(&mut self) {
        // Whoever waits for the tunnel holds the state itself, and has to hear that there will be none.
        drop(self.state.take_tunnel());
    }
}
