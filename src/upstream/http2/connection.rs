//! One connection: opened, and driven in a task of its own until nobody needs it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};

use super::super::Target;
use super::super::stream::Stream;
use super::hub::Hub;
use super::keepalive::Keepalive;
use super::sieve::Sieve;
use super::transport::Transport;
use crate::clock;

/// Streams at once, where the peer allows more or does not say.
const MAX_STREAMS: usize = 128;
/// What a stream may send us ahead of its reader.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The connection's window never closes before those of its streams: a slow reader must not stop its neighbours.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// What a stream may hand over ahead of the socket.
const SEND_BUFFER: usize = 128 * 1024;
const MAX_FRAME: u32 = 32 * 1024;
/// No peer can name it, so that it tells that no SETTINGS have come.
const UNSETTLED: usize = usize::MAX - 1;

/// What a connection's users, its task and the pool know of it.
pub(super) struct State {
    /// Streams in use.
    streams: Cell<usize>,
    /// Whether it has carried a request.
    used: Cell<bool>,
    /// It takes no new streams.
    retired: Cell<bool>,
    idle_since: Cell<Instant>,
    /// Why it ended, where we know better than those who only see it end.
    cause: RefCell<Option<String>>,
}

/// A connection, as the pool holds it. When nobody holds it any more and its streams have ended, it is closed.
pub(in crate::upstream) struct Link {
    sender: SendRequest<Bytes>,
    state: Rc<State>,
    pub(super) target: Arc<Target>,
    address: SocketAddr,
    /// The target's addresses for which `address` was last found among them.
    version: Cell<u64>,
    /// A later one has a higher number.
    pub(super) number: u64,
}

impl Link {
    /// Speaks HTTP/2 on a connected stream; ready when the peer's SETTINGS have come, because they say what may be sent.
    pub(in crate::upstream) async fn open(
        stream: Stream,
        address: SocketAddr,
        hub: &Rc<Hub>,
        number: u64,
        max_head: usize,
    ) -> Result<Self, h2::Error> {
        let heard = Rc::new(Cell::new(false));
        let transport = Sieve::of_server(Transport { stream, heard: Rc::clone(&heard) });
        let (sender, mut connection) = Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(MAX_FRAME)
            .max_header_list_size(u32::try_from(max_head).unwrap_or(u32::MAX))
            .max_send_buffer_size(SEND_BUFFER)
            .initial_max_send_streams(UNSETTLED)
            .handshake::<_, Bytes>(transport)
            .await?;
        poll_fn(|cx| settle(&mut connection, cx)).await?;
        let state = Rc::new(State {
            streams: Cell::new(0),
            used: Cell::new(false),
            retired: Cell::new(false),
            idle_since: Cell::new(clock::instant()),
            cause: RefCell::new(None),
        });
        let keepalive = Keepalive::new(hub.tempo, connection.ping_pong(), heard);
        tokio::task::spawn_local(drive(connection, keepalive, Rc::clone(&state), Rc::downgrade(hub)));
        let target = Arc::clone(&hub.target);
        let version = Cell::new(target.version());
        Ok(Self { sender, state, target, address, version, number })
    }

    /// Whether it may take new streams: nothing speaks against it, and its address is still one of the target's.
    pub(super) fn is_usable(&self) -> bool {
        let version = self.target.version();
        if self.version.get() != version {
            if !self.target.has_address(self.address) {
                return false;
            }
            self.version.set(version);
        }
        !self.state.retired.get()
    }

    /// Streams that it may have at once.
    pub(super) fn limit(&self) -> usize {
        self.sender.current_max_send_streams().min(MAX_STREAMS)
    }

    pub(super) fn has_room(&self) -> bool {
        self.state.streams.get() < self.limit()
    }

    /// Counts a stream; says whether there was one before.
    pub(super) fn take(&self) -> bool {
        self.state.streams.set(self.state.streams.get() + 1);
        self.state.used.replace(true)
    }

    pub(super) fn give_back(&self) {
        let left = self.state.streams.get() - 1;
        self.state.streams.set(left);
        if left == 0 {
            self.state.idle_since.set(clock::instant());
        }
    }

    /// Since when nothing was on it; None while something is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.state.streams.get() == 0).then(|| self.state.idle_since.get())
    }

    /// From now on it takes no new streams.
    pub(super) fn retire(&self) {
        self.state.retired.set(true);
    }

    pub(super) fn sender(&self) -> SendRequest<Bytes> {
        self.sender.clone()
    }

    /// Why it ended, if we ended it.
    pub(super) fn cause(&self) -> Option<String> {
        self.state.cause.borrow().clone()
    }
}

fn settle(connection: &mut Connection<Sieve<Transport>, Bytes>, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
    let over = Pin::new(&mut *connection).poll(cx);
    if connection.max_concurrent_send_streams() != UNSETTLED {
        return Poll::Ready(Ok(()));
    }
    ready!(over)?;
    Poll::Ready(Err(h2::Error::from(h2::Reason::NO_ERROR)))
}

/// Runs a connection to its end.
async fn drive(mut connection: Connection<Sieve<Transport>, Bytes>, mut keepalive: Keepalive, state: Rc<State>, hub: Weak<Hub>) {
    let mut limit = connection.max_concurrent_send_streams();
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = Pin::new(&mut connection).poll(cx) {
            *state.cause.borrow_mut() = outcome.err().map(|error| error.to_string());
            return Poll::Ready(());
        }
        let before = std::mem::replace(&mut limit, connection.max_concurrent_send_streams());
        if limit > before
            && let Some(hub) = hub.upgrade()
        {
            hub.wake_all();
        }
        let dead = keepalive.poll_dead(cx, state.streams.get() > 0);
        if dead.is_ready() {
            *state.cause.borrow_mut() = Some("it no longer answers".to_owned());
        }
        dead
    })
    .await;
    state.retired.set(true);
    // Its streams learn of the end when it is dropped; whoever wakes then must not find it among those in use.
    if let Some(hub) = hub.upgrade() {
        hub.sweep();
    }
}
