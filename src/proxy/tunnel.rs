//! Tunnel: after a 101 (over HTTP/2: a 200 to extended CONNECT), octets flow both ways and count as bandwidth, until either
//! side ends it, it has been silent for too long, it has carried too much, or the tenant is no longer served.

use std::cell::Cell;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::body::ClientBody;
use super::context::Exchange;
use super::http1;
use super::http2::Counted;
use super::reserve::Ticket;
use crate::clock::instant;
use crate::config::Protection;
use crate::tenancy::TenantRuntime;
use crate::upstream::{H2Duplex, Upgraded, UpstreamBody};

/// How often a tunnel looks whether it may go on.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a tunnel lasts after one side has said its last.
const LAST_WORDS: Duration = Duration::from_secs(10);
const CHUNK: usize = 16 * 1024;

/// Where the client's end of a tunnel will be, once the client has heard that there is one.
pub enum ClientEnd {
    /// Its connection.
    Http1(oneshot::Receiver<http1::Upgraded>),
    /// Its stream.
    Http2(oneshot::Receiver<H2Duplex<Counted>>),
}

impl ClientEnd {
    /// Of a request that asked for a WebSocket.
    pub fn of(exchange: &Exchange) -> Option<Self> {
        match (&exchange.side, &exchange.connection.http1) {
            (Some(side), _) => side.take_tunnel().map(Self::Http2),
            (None, Some(http1)) if http1.asked_for_websocket() => Some(Self::Http1(http1.await_tunnel())),
            (None, _) => None,
        }
    }
}

/// Carries octets until the tunnel ends; then the exchange does.
pub async fn tunnel(client: ClientEnd, body: UpstreamBody<ClientBody>, ticket: Ticket, exchange: Box<Exchange>) {
    let Some(upstream) = body.into_upgraded() else { return };
    // Where the client could not be told, the exchange ends as one whose answer was not handed on whole.
    match client {
        ClientEnd::Http1(client) => {
            if let Ok(client) = client.await {
                carry(client, upstream, ticket, exchange).await;
            }
        }
        ClientEnd::Http2(client) => {
            if let Ok(client) = client.await {
                carry(client, upstream, ticket, exchange).await;
            }
        }
    }
}

async fn carry(client: impl AsyncRead + AsyncWrite, upstream: Upgraded, ticket: Ticket, mut exchange: Box<Exchange>) {
    let (client_reads, client_writes) = split(client);
    let (upstream_reads, upstream_writes) = split(upstream);
    let meter = ticket.another_meter();
    let inflow = Rc::clone(&exchange.inflow);
    let bytes_in = &inflow.octets;
    let bytes_out = Cell::new(0_u64);
    let carried = || bytes_in.get() + bytes_out.get();
    let limits = &exchange.worker.config.limits;
    let has_room = |octets: u64| carried().saturating_add(octets) <= limits.max_tunnel;
    let both = async {
        let mut up = pin!(pump(client_reads, upstream_writes, has_room, |octets| {
            bytes_in.set(bytes_in.get() + octets);
            meter.ingress(octets);
            meter.egress(octets);
        }));
        let mut down = pin!(pump(upstream_reads, client_writes, has_room, |octets| {
            bytes_out.set(bytes_out.get() + octets);
            meter.egress(octets);
        }));
        // Either side may end what it says and still listen for a while; one that is gone ends both directions.
        tokio::select! {
            ended = &mut up => { ended?; timeout(LAST_WORDS, down).await.map_err(io::Error::from)? }
            ended = &mut down => { ended?; timeout(LAST_WORDS, up).await.map_err(io::Error::from)? }
        }
    };
    let ended = tokio::select! {
        ended = both => ended,
        over = may_not_go_on(ticket.tenant(), limits, carried) => Err(over.into()),
    };
    let over = ended.as_ref().err().and_then(|error| error.get_ref()?.downcast_ref::<Over>());
    exchange.outcome.code = over.map(|over| over.code());
    exchange.outcome.complete = ended.is_ok();
    exchange.bytes_out = bytes_out.get();
}

/// Why the gateway ends a tunnel.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{}", self.code())]
enum Over {
    Suspended,
    Idle,
    TooLarge,
}

impl Over {
    /// As the access log says it.
    const fn code(self) -> &'static str {
        match self {
            Self::Suspended => "tenant_suspended",
            Self::Idle => "tunnel_idle",
            Self::TooLarge => "tunnel_too_large",
        }
    }
}

impl From<Over> for io::Error {
    fn from(over: Over) -> Self {
        Self::other(over)
    }
}

/// Copies until the end of `from`, then ends `to`. Octets count when they are about to be handed on.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    has_room: impl Fn(u64) -> bool,
    count: impl Fn(u64),
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let octets = from.read(&mut buffer).await?;
        if octets == 0 {
            return to.shutdown().await;
        }
        if !has_room(octets as u64) {
            return Err(Over::TooLarge.into());
        }
        count(octets as u64);
        to.write_all(&buffer[..octets]).await?;
        to.flush().await?;
    }
}

/// Ready when a tunnel has to end that neither side ends. `carried` are the octets of both directions so far.
async fn may_not_go_on(tenant: &TenantRuntime, limits: &Protection, carried: impl Fn() -> u64) -> Over {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut last, mut moved) = (0, instant());
    loop {
        looks.tick().await;
        let (now, octets) = (instant(), carried());
        if octets != last {
            (last, moved) = (octets, now);
        }
        if !tenant.facts().tenant.status.is_served() {
            return Over::Suspended;
        }
        if now.saturating_duration_since(moved) > limits.tunnel_idle_timeout {
            return Over::Idle;
        }
    }
}
