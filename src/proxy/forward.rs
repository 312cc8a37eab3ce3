//! Forward: the request goes to the tenant's upstream with its context, and a response head comes back; then the call counts.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, Version};

use super::body::{BodyFault, ClientBody};
use super::context::Exchange;
use super::credentials::remove_own;
use super::headers::{Forwarding, append_via, forwarded_for, strip_request, trace};
use super::inbound::{InboundError, Incoming};
use super::interim::Interim;
use super::refusal::Refusal;
use super::reserve::Ticket;
use super::settle::answered;
use super::site::Introduction;
use crate::access::Identity;
use crate::clock::instant;
use crate::message::{Fields, Name};
use crate::observe::Owner;
use crate::tenancy::Facts;
use crate::upstream::{Request, Response, SendError, Target, grpc_timeout};

/// Sends the request; a call that could not be delivered gives its place back.
pub async fn forward(
    exchange: &mut Exchange,
    ticket: &Ticket,
    request: Box<Request<ClientBody>>,
) -> Result<Box<Response<ClientBody>>, Refusal> {
    let facts = ticket.facts();
    let first = ticket.tenant().turn(facts);
    // Nothing has waited since the request came.
    let sent = exchange.started;
    let interim = Interim::of(exchange, &request.fields);
    let outcome = exchange.worker.pool.send(&facts.targets, first, *request, ticket.progress(), &|head| interim.forward(head)).await;
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

/// The request as the upstream is to get it; in a box, so that no future has to hold it.
// Kept apart, so that its instructions can be told from others (`bench/instructions`).
#[inline(never)]
pub fn outgoing(exchange: &Exchange, ticket: &Ticket, incoming: Incoming) -> Box<Request<ClientBody>> {
    let Incoming { mut fields, body, .. } = incoming;
    edit(exchange, ticket, &mut fields);
    let limits = &exchange.worker.config.limits;
    let patience = limits.idle_timeout.max(deadline_of(&fields, &ticket.facts().targets));
    let body = ClientBody::new(body, ticket.another_meter(), Rc::clone(&exchange.inflow), exchange.max_body, patience);
    Box::new(Request { method: exchange.method.clone(), uri: exchange.uri.clone(), fields, body })
}

/// How long a client of gRPC says that the whole call may take, so that it may be silent as long between its messages. It counts
/// only for apps that can speak gRPC: others shall not wait longer for a body because somebody says so.
fn deadline_of(fields: &Fields, targets: &[Arc<Target>]) -> Duration {
    let timeout = if targets.iter().any(|target| target.is_http2()) { grpc_timeout(fields) } else { None };
    timeout.unwrap_or_default()
}

/// Over HTTP/2 every 2xx says that there is a tunnel now (RFC 8441, section 5), so that only a 101 may become one.
fn check_switch<B>(exchange: &Exchange, response: Box<Response<B>>) -> Result<Box<Response<B>>, Refusal> {
    let Some(side) = exchange.side.as_ref().filter(|side| side.asked_for_websocket()) else { return Ok(response) };
    let is_good = match response.status {
        StatusCode::SWITCHING_PROTOCOLS => side.accepts(&response.fields),
        status => !status.is_success(),
    };
    if is_good { Ok(response) } else { Err(Refusal::NotSwitched) }
}

/// Takes off what must not cross and puts on what the gateway says.
fn edit(exchange: &Exchange, ticket: &Ticket, fields: &mut Fields) {
    let trusted = exchange.connection.trusted;
    strip_request(fields, trusted);
    remove_own(fields, exchange.user.as_deref());
    if exchange.version == Version::HTTP_10 {
        // Its clients know no interim responses (RFC 9110, section 10.1.1).
        fields.remove(Name::Expect);
    }
    if exchange.asked_for_websocket() {
        fields.set(Name::Connection, "Upgrade");
        fields.set(Name::Upgrade, "websocket");
    }
    introduce(exchange, ticket.facts(), fields);
    if let Some(user) = &exchange.user {
        say_user(user, ticket.facts(), fields);
    }
    if let Some(context) = exchange.worker.contexts.as_ref().and_then(|contexts| contexts.say(exchange, ticket.facts())) {
        fields.push(Name::XTenantContext, context.as_bytes());
    }
    fields.push(Name::XRequestId, exchange.id.as_str());
    let mut random = [0_u8; 24];
    fastrand::fill(&mut random);
    trace(fields, trusted, &random);
    append_via(fields, exchange.version);
}

/// Says who the user is; flags that are rolled out by user may be on for this one.
fn say_user(user: &Identity, facts: &Facts, fields: &mut Fields) {
    fields.push(Name::XUserId, &*user.said.user);
    if !user.roles_text.is_empty() {
        fields.push(Name::XUserRoles, &*user.roles_text);
    }
    if let Some(features) = facts.features_for(Some(&user.said.user)) {
        fields.set(Name::XTenantFeatures, &features);
    }
}

/// Says who the tenant is and where the request came from. Where the peer speaks for itself that is the same each time, and is
/// remembered with the host, from the second request for it on: a connection may carry those of many tenants in turn.
fn introduce(exchange: &Exchange, facts: &Arc<Facts>, fields: &mut Fields) {
    let connection = &exchange.connection;
    let mut memory = connection.memory.borrow_mut();
    match &mut *memory {
        Some(memory) if !connection.trusted && !memory.is_again => {
            memory.is_again = true;
            say(exchange, facts, &memory.field, fields);
        }
        Some(memory) if !connection.trusted => {
            if memory.introduction.as_ref().is_none_or(|said| !Arc::ptr_eq(&said.facts, facts)) {
                let mut said = Fields::new();
                say(exchange, facts, &memory.field, &mut said);
                // A copy takes no more room than it needs.
                memory.introduction = Some(Introduction { facts: Arc::clone(facts), fields: said.clone() });
            }
            if let Some(said) = &memory.introduction {
                fields.extend(&said.fields);
            }
        }
        _ => {
            // A copy, because what it is written into is what it is read from.
            let host = fields.get(Name::Host).map(<[u8]>::to_vec).unwrap_or_default();
            say(exchange, facts, &host, fields);
        }
    }
}

fn say(exchange: &Exchange, facts: &Facts, host: &[u8], fields: &mut Fields) {
    let connection = &exchange.connection;
    fields.extend(&facts.labels().fields);
    let forwarding = Forwarding {
        peer: connection.peer,
        trusted: connection.trusted,
        proto: connection.listener.name(),
        host: std::str::from_utf8(host).unwrap_or_default(),
    };
    forwarded_for(fields, &forwarding);
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
