//! The request path: accept → admit → resolve → authorize → throttle → reserve → forward → settle.
//!
//! Each stage is one file and one call: the first in `enter` and `let_in`, the last in `pass`. Up to `reserve` nothing waits; from
//! then on the ticket makes sure that the call is counted once.
//!
//! A request ends where its answer does, by two drops: the ticket's (`reserve.rs`: metered or given back, and its place in
//! flight freed) and the exchange's (`context.rs`: access log and metrics). Both ride in the body of the app's answer
//! (`body.rs`) or in the tunnel after a 101 (`tunnel.rs`); whoever is canceled on the way drops them as well.

mod accept;
mod admit;
mod answer;
mod authorize;
mod body;
mod challenge;
mod connection;
mod context;
mod counting;
mod credentials;
mod forward;
pub mod framing;
pub mod headers;
mod hold;
mod http1;
mod http2;
mod inbound;
mod interim;
mod notice;
mod patience;
mod preface;
mod proxy_protocol;
mod rate_limit;
mod redirect;
mod refusal;
mod reports;
mod request_id;
mod reserve;
mod resolve;
mod settle;
mod sight;
mod signed_context;
mod site;
mod socket;
mod tenant_api;
mod throttle;
mod trouble;
mod tunnel;
mod watch;
mod worker;

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::task::JoinError;

use self::admit::admit;
use self::answer::Answer;
use self::authorize::authorize;
use self::body::ClientBody;
use self::challenge::challenge;
use self::connection::Connection;
use self::context::{Exchange, Worker};
use self::forward::{forward, outgoing};
use self::http2::Side;
use self::inbound::{Inbound, Incoming};
use self::notice::is_notice;
use self::redirect::redirect;
use self::refusal::Refusal;
use self::reserve::{Ticket, reserve};
use self::resolve::resolve;
use self::throttle::throttle;
use self::tunnel::ClientEnd;
use crate::message::{Fields, RequestHead};
use crate::upstream;

pub use self::connection::Listener;
pub use self::notice::{Notice, Notices};
pub use self::worker::{Shared, spawn_worker};

/// What a request that was not refused leads to.
// It lives for one move; a box would cost every request an allocation.
#[allow(clippy::large_enum_variant)]
enum Way {
    App(Ticket, Incoming),
    TenantApi(Ticket, Bytes),
    Redirect(String),
    Challenge(Bytes),
    Notice(Incoming),
}

/// One request of a connection, from its head to the head of its answer. What does not wait is done at once.
fn handle(worker: Rc<Worker>, connection: Rc<Connection>, head: RequestHead, body: Inbound, side: Option<Rc<Side>>) -> Handled {
    let RequestHead { method, uri, version, fields } = head;
    let mut exchange = Exchange::begin(worker, connection, (method, uri, version), side);
    Handled::Answered(Some(match enter(&mut exchange, Incoming { fields, body }) {
        Ok(Way::App(ticket, incoming)) => {
            let end = ClientEnd::of(&exchange);
            let request = outgoing(&exchange, &ticket, incoming);
            return Handled::Passed(Box::pin(pass(exchange, ticket, request, end)));
        }
        Ok(Way::TenantApi(ticket, answer)) => settle::own(exchange, ticket, answer),
        Ok(Way::Redirect(location)) => settle::redirected(exchange, &location),
        Ok(Way::Notice(incoming)) => return Handled::Passed(Box::pin(notice::pass(exchange, incoming))),
        Ok(Way::Challenge(answer)) => settle::challenged(exchange, answer),
        Err(refusal) => settle::refused(exchange, &refusal),
    }))
}

/// The way to an answer.
enum Handled {
    /// It is there; none once it was taken.
    Answered(Option<Answer>),
    /// The app is asked. On the heap, so that a connection has no room for it while it is idle.
    Passed(Pin<Box<dyn Future<Output = Answer>>>),
}

impl Future for Handled {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        match self.get_mut() {
            Self::Answered(answer) => answer.take().map_or(Poll::Pending, Poll::Ready),
            Self::Passed(passed) => passed.as_mut().poll(cx),
        }
    }
}

fn enter(exchange: &mut Exchange, mut request: Incoming) -> Result<Way, Refusal> {
    admit(exchange, &mut request.fields)?;
    if exchange.connection.listener.redirects(exchange.worker.config.tls.mode) {
        return match challenge(exchange, &request.fields) {
            Some(answer) => Ok(Way::Challenge(answer)),
            None => redirect(exchange, &request.fields).map(Way::Redirect),
        };
    }
    if is_notice(exchange, &request.fields)? {
        return Ok(Way::Notice(request));
    }
    let (ticket, own) = let_in(exchange, &request.fields).inspect_err(|_| exchange.count_rejected())?;
    Ok(match own {
        Some(answer) => Way::TenantApi(ticket, answer),
        None => Way::App(ticket, request),
    })
}

/// To the app and back. Where the app's answer decides over a place of a gauge it is waited for though the client may leave.
async fn pass(exchange: Box<Exchange>, ticket: Ticket, request: Box<upstream::Request<ClientBody>>, end: Option<ClientEnd>) -> Answer {
    let (mut exchange, ticket, answer) = if ticket.is_counted() {
        match tokio::task::spawn_local(ask(exchange, ticket, request)).await.map_err(JoinError::try_into_panic) {
            Ok(asked) => asked,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // Only the end of the worker cancels it, and with it this task.
            Err(Err(_)) => std::future::pending().await,
        }
    } else {
        ask(exchange, ticket, request).await
    };
    match answer {
        Ok(response) => settle::app(exchange, ticket, *response, end),
        Err(refusal) => {
            drop(ticket);
            // What is left is told anew, since the place may have been given back.
            exchange.rate_limit = None;
            settle::refused(exchange, &refusal)
        }
    }
}

async fn ask(
    mut exchange: Box<Exchange>,
    ticket: Ticket,
    request: Box<upstream::Request<ClientBody>>,
) -> (Box<Exchange>, Ticket, Answered) {
    let answer = forward(&mut exchange, &ticket, request).await;
    (exchange, ticket, answer)
}

/// The app's answer, or why there is none.
type Answered = Result<Box<upstream::Response<ClientBody>>, Refusal>;

/// The stages that decide; none of them waits. For the tenant API, with its answer.
// Kept apart, so that its instructions can be told from others (`bench/instructions`).
#[inline(never)]
fn let_in(exchange: &mut Exchange, fields: &Fields) -> Result<(Ticket, Option<Bytes>), Refusal> {
    let resolved = resolve(exchange, fields)?;
    let authorized = authorize(exchange, fields, resolved)?;
    let throttled = throttle(authorized)?;
    reserve(exchange, throttled)
}
