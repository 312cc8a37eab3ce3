//! Tunnel: after a 101, octets flow both ways and count as bandwidth, until either side ends it or the tenant is no longer
//! served.

use std::cell::RefCell;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::body::ClientBody;
use super::context::Exchange;
use super::reserve::Ticket;
use crate::tenancy::TenantRuntime;
use crate::upstream::UpstreamBody;

/// How often a tunnel looks whether its tenant is still served.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a tunnel lasts after one side has said its last.
const LAST_WORDS: Duration = Duration::from_secs(10);
const CHUNK: usize = 16 * 1024;

/// Carries octets until the tunnel ends; then the exchange does.
pub async fn tunnel(client: OnUpgrade, body: UpstreamBody<ClientBody>, ticket: Ticket, mut exchange: Box<Exchange>) {
    let Some(upstream) = body.into_upgraded() else { return };
    // The 101 could not be sent: the exchange ends as one whose answer was not handed on whole.
    let Ok(client) = client.await else { return };
    let (client_reads, client_writes) = split(TokioIo::new(client));
    let (upstream_reads, upstream_writes) = split(upstream);
    let (up, down) = (RefCell::new(ticket.another_meter()), RefCell::new(ticket.another_meter()));
    let bytes_in = Rc::clone(&exchange.bytes_in);
    let bytes_out = RefCell::new(0_u64);
    let both = async {
        let mut up = pin!(pump(client_reads, upstream_writes, |octets| {
            bytes_in.set(bytes_in.get() + octets);
            up.borrow_mut().ingress(octets);
            up.borrow_mut().egress(octets);
        }));
        let mut down = pin!(pump(upstream_reads, client_writes, |octets| {
            *bytes_out.borrow_mut() += octets;
            down.borrow_mut().egress(octets);
        }));
        // Either side may end what it says and still listen for a while; one that is gone ends both directions.
        tokio::select! {
            ended = &mut up => { ended?; timeout(LAST_WORDS, down).await? }
            ended = &mut down => { ended?; timeout(LAST_WORDS, up).await? }
        }
    };
    let complete = tokio::select! {
        ended = both => ended.is_ok(),
        () = no_longer_served(ticket.tenant()) => false,
    };
    exchange.bytes_out = bytes_out.into_inner();
    exchange.outcome.complete = complete;
}

/// Copies until the end of `from`, then ends `to`. Octets count when they are about to be handed on.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, count: impl Fn(u64)) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let octets = from.read(&mut buffer).await?;
        if octets == 0 {
            return to.shutdown().await;
        }
        count(octets as u64);
        to.write_all(&buffer[..octets]).await?;
        to.flush().await?;
    }
}

async fn no_longer_served(tenant: &TenantRuntime) {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while tenant.facts().tenant.status.is_served() {
        looks.tick().await;
    }
}
