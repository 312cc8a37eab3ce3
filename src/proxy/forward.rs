//! Forward: the request goes to the tenant's upstream with its context, and a response head comes back; then the call counts.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, HOST, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};

use super::body::{BodyFault, ClientBody};
use super::context::Exchange;
use super::credentials::remove_keys;
use super::headers::{Forwarding, forwarded_for, strip_request};
use super::inbound::{Inbound, InboundError};
use super::interim::Interim;
use super::refusal::Refusal;
use super::reserve::Ticket;
use super::settle::answered;
use crate::clock::instant;
use crate::observe::Owner;
use crate::upstream::{SendError, Target, UpstreamBody, grpc_timeout};

const X_TENANT_ID: HeaderName = HeaderName::from_static("x-tenant-id");
const X_TENANT_SLUG: HeaderName = HeaderName::from_static("x-tenant-slug");
const X_TENANT_PLAN: HeaderName = HeaderName::from_static("x-tenant-plan");
const X_TENANT_FEATURES: HeaderName = HeaderName::from_static("x-tenant-features");
/// Also on every response.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Fields that are added below.
const ADDED: usize = 12;

/// Sends the request; a call that could not be delivered gives its place back.
pub async fn forward(
    exchange: &mut Exchange,
    ticket: &Ticket,
    request: Request<Inbound>,
) -> Result<Response<UpstreamBody<ClientBody>>, Refusal> {
    let facts = ticket.facts();
    let (mut parts, incoming) = request.into_parts();
    edit(exchange, ticket, &mut parts.headers);
    let limits = &exchange.worker.config.limits;
    let patience = limits.idle_timeout.max(deadline_of(&parts.headers, &facts.targets));
    let body = ClientBody::new(incoming, ticket.another_meter(), Rc::clone(&exchange.inflow), limits.max_body, patience);
    let first = ticket.tenant().turn(facts);
    let sent = instant();
    let request = Request::from_parts(parts, body);
    let interim = Interim::of(exchange, &request);
    let outcome = exchange.worker.pool.send(&facts.targets, first, request, ticket.progress(), &|head| interim.forward(head)).await;
    interim.are_sent().await;
    exchange.upstream = Some(instant().saturating_duration_since(sent));
    let mut response = outcome.map_err(|error| refusal_of(exchange, &error)).inspect_err(|refusal| {
        // A client that leaves is no reason to give back; the ticket decides by how far the request has come.
        if !matches!(refusal, Refusal::ClientClosed | Refusal::RequestTimeout) {
            ticket.give_back();
        }
    })?;
    answered(exchange, ticket, &mut response);
    check_switch(exchange, response)
}

/// How long a client of gRPC says that the whole call may take, so that it may be silent as long between its messages. It counts
/// only for apps that can speak gRPC: others shall not wait longer for a body because somebody says so.
fn deadline_of(headers: &HeaderMap, targets: &[Arc<Target>]) -> Duration {
    let timeout = if targets.iter().any(|target| target.is_http2()) { grpc_timeout(headers) } else { None };
    timeout.unwrap_or_default()
}

/// Over HTTP/2 every 2xx says that there is a tunnel now (RFC 8441, section 5), so that only a 101 may become one.
fn check_switch<B>(exchange: &Exchange, response: Response<B>) -> Result<Response<B>, Refusal> {
    let Some(side) = exchange.side.as_ref().filter(|side| side.asked_for_websocket()) else { return Ok(response) };
    let is_good = match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => side.accepts(response.headers()),
        status => !status.is_success(),
    };
    if is_good { Ok(response) } else { Err(Refusal::NotSwitched) }
}

/// Takes off what must not cross and puts on what the gateway says.
fn edit(exchange: &Exchange, ticket: &Ticket, headers: &mut HeaderMap) {
    let connection = &exchange.connection;
    // Once, instead of at each power of two on the way.
    headers.reserve(ADDED);
    let host = headers.get(HOST).cloned();
    strip_request(headers, connection.trusted);
    remove_keys(headers);
    if exchange.asked_for_websocket() {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    let labels = ticket.facts().labels();
    headers.insert(X_TENANT_ID, labels.id.clone());
    headers.insert(X_TENANT_SLUG, labels.slug.clone());
    headers.insert(X_TENANT_PLAN, labels.plan.clone());
    if let Some(features) = &labels.features {
        headers.insert(X_TENANT_FEATURES, features.clone());
    }
    headers.insert(X_REQUEST_ID, exchange.id.value());
    let mut random = [0_u8; 24];
    fastrand::fill(&mut random);
    let forwarding = Forwarding {
        peer: connection.peer,
        trusted: connection.trusted,
        proto: connection.listener.name(),
        host: host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default(),
        version: exchange.version,
        random,
    };
    forwarded_for(headers, &forwarding);
}

/// What the client is told; where the upstream is to blame, the log is told where it is and what went wrong there.
fn refusal_of(exchange: &Exchange, error: &SendError) -> Refusal {
    let refusal = match error {
        SendError::NoAddress(_) => Refusal::NoAddress,
        SendError::Unreachable(_) => Refusal::Unreachable,
        SendError::Tls(fault, _) => Refusal::UpstreamTls(*fault),
        SendError::ConnectTimeout(_) => Refusal::ConnectTimeout,
        SendError::ResponseTimeout(_) => Refusal::ResponseTimeout,
        SendError::Closed(_) | SendError::Reset { .. } => Refusal::Closed,
        SendError::Garbage(_) => Refusal::Garbage,
        SendError::NoUpgrade(_) => Refusal::NotSwitched,
        SendError::BodyStalled => Refusal::RequestTimeout,
        SendError::RequestBody(fault) => match fault.downcast_ref::<BodyFault>() {
            Some(BodyFault::TooLarge(limit)) => Refusal::BodyTooLarge { limit: *limit },
            Some(BodyFault::Client(InboundError::Malformed(_))) => Refusal::BadRequest("the body breaks its framing"),
            Some(BodyFault::Stalled) => Refusal::RequestTimeout,
            Some(BodyFault::Client(_)) | None => Refusal::ClientClosed,
        },
    };
    if refusal.kind().owner == Owner::Upstream {
        let tenant = exchange.facts.as_ref().map(|facts| facts.tenant.slug.as_str());
        exchange.worker.troubles.tell(|left_out| {
            tracing::warn!(tenant, request_id = exchange.id.as_str(), left_out, %error, "an upstream gave no response");
        });
    }
    refusal
}
