//! The request path: accept → admit → resolve → authorize → throttle → reserve → forward → settle.
//!
//! Each stage is one file and one call in `serve`. Up to `reserve` nothing waits; from then on the ticket makes sure that
//! the call is counted once.
//!
//! A request ends where its answer does, by two drops: the ticket's (`reserve.rs`: metered or given back, and its place in
//! flight freed) and the exchange's (`context.rs`: access log and metrics). Both ride in the body of the app's answer
//! (`body.rs`) or in the tunnel after a 101 (`tunnel.rs`); whoever is canceled on the way drops them as well.

mod accept;
mod admit;
mod authorize;
mod body;
mod connection;
mod context;
mod credentials;
mod forward;
pub mod framing;
pub mod headers;
mod http1;
mod http2;
mod inbound;
mod interim;
mod path;
mod patience;
mod preface;
mod proxy_protocol;
mod rate_limit;
mod redirect;
mod refusal;
mod request_id;
mod reserve;
mod resolve;
mod settle;
mod site;
mod socket;
mod tenant_api;
mod throttle;
mod trouble;
mod tunnel;
mod watch;
mod worker;

use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};

use self::admit::admit;
use self::authorize::authorize;
use self::body::{AnswerBody, ClientBody};
use self::connection::Connection;
use self::context::{Exchange, Worker};
use self::forward::forward;
use self::http2::Side;
use self::inbound::Inbound;
use self::redirect::redirect;
use self::refusal::Refusal;
use self::reserve::{Ticket, reserve};
use self::resolve::resolve;
use self::tenant_api::Question;
use self::throttle::throttle;
use self::tunnel::ClientEnd;
use crate::upstream::UpstreamBody;

pub use self::connection::Listener;
pub use self::worker::{Shared, spawn_worker};

/// How a request was served.
// It lives for one move; a box would cost every request an allocation.
#[allow(clippy::large_enum_variant)]
enum Served {
    App(Ticket, Response<UpstreamBody<ClientBody>>, Option<ClientEnd>),
    TenantApi(Ticket, Bytes),
    Redirect(HeaderValue),
}

/// One request of a connection, from its head to the head of its answer.
async fn handle(
    worker: Rc<Worker>,
    connection: Rc<Connection>,
    request: Request<Inbound>,
    side: Option<Rc<Side>>,
) -> Result<Response<AnswerBody>, Infallible> {
    let mut exchange = Exchange::begin(&worker, &connection, &request, side);
    Ok(match serve(&mut exchange, request).await {
        Ok(Served::App(ticket, response, end)) => settle::app(exchange, ticket, response, end),
        Ok(Served::TenantApi(ticket, answer)) => settle::own(exchange, ticket, answer),
        Ok(Served::Redirect(location)) => settle::redirected(exchange, location),
        Err(refusal) => settle::refused(exchange, &refusal),
    })
}

async fn serve(exchange: &mut Exchange, mut request: Request<Inbound>) -> Result<Served, Refusal> {
    admit(exchange, &mut request)?;
    if exchange.connection.listener.redirects(exchange.worker.config.tls.mode) {
        return redirect(exchange, request.headers()).map(Served::Redirect);
    }
    let (ticket, question) = let_in(exchange, request.headers()).inspect_err(|_| exchange.count_rejected())?;
    if let Some(question) = question {
        let answer = tenant_api::answer(question, ticket.facts(), ticket.window());
        return Ok(Served::TenantApi(ticket, answer));
    }
    let end = ClientEnd::of(exchange, &mut request);
    let response = forward(exchange, &ticket, request).await?;
    Ok(Served::App(ticket, response, end))
}

/// The stages that decide; none of them waits.
fn let_in(exchange: &mut Exchange, headers: &HeaderMap) -> Result<(Ticket, Option<Question>), Refusal> {
    let resolved = resolve(exchange, headers)?;
    let authorized = authorize(exchange, resolved)?;
    let throttled = throttle(authorized)?;
    reserve(exchange, throttled)
}
