//! A client's HTTP/2 connection (RFC 9113): streams come in, each is answered in a task of its own on the worker's thread.
//!
//! What it promises: a client that is gone is noticed by an unanswered PING; at a drain no new stream is taken and those under
//! way end; extended CONNECT (RFC 8441) is offered.

mod counted;
mod gather;
mod grpc;
mod pulse;
mod pump;
mod side;
mod stream;
mod upload;
mod websocket;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::server::{Builder, Connection as Streams};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::Connection;
use super::context::Worker;
use super::hold::Holds;
use super::patience::Signs;
use super::watch::{Order, Watch, Watching};
use crate::config::Protection;
use crate::upstream::Sieve;
use gather::{Gather, Turn};
use pulse::Pulse;

pub use self::counted::{Carried, Counted};
pub use self::side::Side;
pub use self::upload::StreamBody;

/// Octets of a stream that h2 takes ahead of the connection.
const SEND_BUFFER: usize = 64 * 1024;
/// What a client may send ahead of the app, a stream and a connection: sixteen uploads that nobody reads leave room for others.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// What small DATA frames that nobody has taken may cost, counted by h2 as the octets that each lacks to 256. Bodies are taken in
/// as they come, so that only those of tunnels wait, and those for which others had no turn yet.
const SMALL_FRAMES: usize = 16 * 1024 * 1024;
/// What comes for a stream after its end was told is thrown away for so long, for so many streams, and is a fault after that.
const AFTERMATH: Duration = Duration::from_secs(30);
const ENDED_STREAMS: usize = 1024;
const MAX_STREAMS: u32 = 250;

/// Serves a connection to its end, or to what the watch orders.
///
/// `signs` are those of what lies beneath.
pub async fn serve<IO>(worker: Rc<Worker>, watch: Rc<Watch>, connection: Rc<Connection>, io: IO, signs: Arc<Signs>)
where
    IO: AsyncRead + AsyncWrite + Holds + Unpin + 'static,
{
    let watching = watch.over(Rc::clone(&connection));
    let limits = &worker.config.limits;
    let (io, turn) = Gather::new(io);
    let Some(mut streams) = shake(&watching, settings(limits).handshake(Sieve::of_client(io))).await else { return };
    let pulse = streams.ping_pong().map(|pings| Pulse::new(pings, limits.idle_timeout, Arc::clone(&signs)));
    let mut serving = Serving { streams, turn, pulse, signs };
    let outcome = poll_fn(|cx| serving.poll(cx, &watching, &worker, &connection)).await;
    if let Err(error) = outcome {
        tracing::debug!(%error, "a client's HTTP/2 connection ended");
    }
}

fn settings(limits: &Protection) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(SMALL_FRAMES)
        .reset_stream_duration(AFTERMATH)
        .max_concurrent_reset_streams(ENDED_STREAMS)
        // What is larger than the limit, but not by far, is refused by `admit`, with a document and a record.
        .max_header_list_size(u32::try_from(limits.max_header_bytes.saturating_mul(4)).unwrap_or(u32::MAX))
        .enable_connect_protocol();
    builder
}

/// The prefaces are exchanged; None where that failed or took too long.
async fn shake<IO>(
    watching: &Watching,
    handshake: impl Future<Output = Result<Streams<IO, Counted>, h2::Error>>,
) -> Option<Streams<IO, Counted>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut handshake = pin!(handshake);
    let mut draining = false;
    let shaken = poll_fn(|cx| {
        match watching.order(cx) {
            Some(Order::Close) => return Poll::Ready(None),
            Some(Order::Drain) => draining = true,
            None => {}
        }
        handshake.as_mut().poll(cx).map(Some)
    });
    match shaken.await? {
        Ok(mut streams) => {
            if draining {
                streams.graceful_shutdown();
            }
            Some(streams)
        }
        Err(error) => {
            tracing::debug!(%error, "a client's HTTP/2 connection did not begin");
            None
        }
    }
}

/// A request, and where its answer goes.
type Accepted = Result<(http::Request<h2::RecvStream>, h2::server::SendResponse<Counted>), h2::Error>;

struct Serving<IO> {
    streams: Streams<Sieve<Gather<IO>>, Counted>,
    turn: Rc<Turn>,
    pulse: Option<Pulse>,
    signs: Arc<Signs>,
}

impl<IO: AsyncRead + AsyncWrite + Holds + Unpin> Serving<IO> {
    /// Ready at the end of the connection.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        watching: &Watching,
        worker: &Rc<Worker>,
        connection: &Rc<Connection>,
    ) -> Poll<Result<(), h2::Error>> {
        match watching.order(cx) {
            Some(Order::Drain) => self.streams.graceful_shutdown(),
            // Ends of answers are under way to a client that is slow; if it takes nothing of them, the write fails.
            Some(Order::Close) if self.signs.is_stuck() => {}
            Some(Order::Close) => return Poll::Ready(Ok(())),
            None => {}
        }
        if self.pulse.as_mut().is_some_and(|pulse| pulse.poll_lost(cx).is_ready()) {
            return Poll::Ready(Ok(()));
        }
        loop {
            match std::task::ready!(self.poll_accept(cx)) {
                Some(Ok((request, respond))) => {
                    stream::answer(worker, connection, request, respond);
                }
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
    }

    /// The next stream, after a turn of the whole connection.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<Accepted>> {
        self.turn.begin();
        let accepted = self.streams.poll_accept(cx);
        if self.turn.end() && accepted.is_pending() {
            // What was gathered goes out.
            return self.streams.poll_accept(cx);
        }
        accepted
    }
}
