//! Settle: an answer goes to the client. An app's answer is metered when its head has arrived, before any octet of it is
//! handed on; its octets are counted as they are.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use hyper::ext::ReasonPhrase;

use super::body::{AnswerBody, AppBody, ClientBody};
use super::context::Exchange;
use super::forward::X_REQUEST_ID;
use super::headers::strip_response;
use super::rate_limit::rate_limit;
use super::refusal::{Kind, Refusal};
use super::reports::take_reports;
use super::reserve::Ticket;
use super::tunnel::{ClientEnd, tunnel};
use crate::upstream::UpstreamBody;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// The app has answered: the call counts, and what the answer says of usage is taken down, before the client gets any of it.
pub fn answered<B>(exchange: &Exchange, ticket: &Ticket, response: &mut Response<B>) {
    ticket.metered();
    let reported = take_reports(exchange, ticket.tenant(), response.headers_mut());
    if let Some(counting) = ticket.take_counting() {
        counting.settle(exchange, ticket.tenant(), response.status(), &reported);
    }
}

/// The app's answer goes to the client.
pub fn app(
    mut exchange: Box<Exchange>,
    ticket: Ticket,
    response: Response<UpstreamBody<ClientBody>>,
    end: Option<ClientEnd>,
) -> Response<AnswerBody> {
    let (mut parts, body) = response.into_parts();
    let switches = parts.status == StatusCode::SWITCHING_PROTOCOLS;
    strip_response(&mut parts.headers, switches);
    say(&exchange, &mut parts.headers);
    if parts.status.canonical_reason().is_none() && parts.extensions.get::<ReasonPhrase>().is_none() {
        // hyper would make one up.
        parts.extensions.insert(ReasonPhrase::from_static(b""));
    }
    exchange.outcome.status = parts.status.as_u16();
    let answer = match (end, switches) {
        (Some(client), true) => {
            if let Some(framing) = &exchange.connection.framing {
                framing.switch();
            }
            tokio::task::spawn_local(tunnel(client, body, ticket, exchange));
            AnswerBody::Own(None)
        }
        (Some(_), false) => {
            parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
            AnswerBody::App(Box::new(AppBody::new(body, ticket, exchange)))
        }
        (None, _) => {
            let unsaid = parts.status == StatusCode::NOT_MODIFIED && exchange.version != Version::HTTP_2;
            let body = Box::new(AppBody::new(body, ticket, exchange));
            if unsaid && parts.headers.contains_key(CONTENT_LENGTH) { AnswerBody::Unsaid(body) } else { AnswerBody::App(body) }
        }
    };
    Response::from_parts(parts, answer)
}

/// An answer of the tenant API: it counts like one of the app.
pub fn own(mut exchange: Box<Exchange>, ticket: Ticket, body: Bytes) -> Response<AnswerBody> {
    ticket.metered();
    let mut response = made(&mut exchange, StatusCode::OK, body);
    ticket.meter().egress(exchange.bytes_out);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Points to the same place over TLS.
pub fn redirected(mut exchange: Box<Exchange>, location: HeaderValue) -> Response<AnswerBody> {
    let mut response = made(&mut exchange, StatusCode::PERMANENT_REDIRECT, Bytes::new());
    response.headers_mut().insert(LOCATION, location);
    response
}

/// A refusal, as a problem document.
pub fn refused(mut exchange: Box<Exchange>, refusal: &Refusal) -> Response<AnswerBody> {
    let Kind { status, code, owner, proxy_error, .. } = refusal.kind();
    tracing::debug!(request_id = exchange.id.as_str(), code, detail = refusal.detail(), "refused");
    let body = Bytes::from(refusal.document(exchange.id.as_str()).to_string());
    if exchange.rate_limit.is_none() {
        exchange.rate_limit = untaken(&exchange, refusal);
    }
    exchange.outcome.code = Some(code);
    exchange.outcome.owner = owner;
    let mut response = made(&mut exchange, status, body);
    if matches!(refusal, Refusal::ClientClosed) {
        // Nobody gets this answer; the record tells that instead.
        (exchange.outcome.status, exchange.bytes_out) = (0, 0);
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(seconds) = refusal.retry_after(exchange.time) {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"gatehouse\""));
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
    if status == StatusCode::NOT_FOUND {
        // A tenant that is not served any more looks like one that never was.
        headers.remove(RATE_LIMIT);
        headers.remove(RATE_LIMIT_POLICY);
    }
    if let Ok(value) = HeaderValue::try_from(format!("gatehouse; error={proxy_error}")) {
        headers.insert(PROXY_STATUS, value);
    }
    response
}

/// What is left of the limits of a known tenant when nothing of them was taken.
fn untaken(exchange: &Exchange, refusal: &Refusal) -> Option<HeaderValue> {
    let (tenant, facts) = (exchange.tenant.as_ref()?, exchange.facts.as_ref()?);
    let rate = match refusal {
        Refusal::RateLimited(decision) => Some(*decision),
        _ => None,
    };
    let taken = tenant.window(exchange.worker.journal.today(exchange.time.day())).calls_today();
    rate_limit(facts, rate, facts.calls_per_day.map(|limit| limit.saturating_sub(taken)), exchange.time)
}

/// An answer that the gateway makes; what it is and whether it is whole is known at once.
fn made(exchange: &mut Exchange, status: StatusCode, body: Bytes) -> Response<AnswerBody> {
    exchange.outcome.status = status.as_u16();
    exchange.outcome.complete = true;
    let length = body.len();
    // HEAD is told the length of what GET would get, and nothing of it; over HTTP/2, hyper would send it.
    let body = Some(body).filter(|body| !body.is_empty() && exchange.method != Method::HEAD);
    exchange.bytes_out = body.as_ref().map_or(0, |body| body.len() as u64);
    let mut response = Response::new(AnswerBody::Own(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    say(exchange, headers);
    if exchange.asked_for_websocket() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// What every response says.
fn say(exchange: &Exchange, headers: &mut HeaderMap) {
    headers.insert(X_REQUEST_ID, exchange.id.value());
    if let Some(policy) = exchange.facts.as_ref().and_then(|facts| facts.policy_value.as_ref()) {
        headers.insert(RATE_LIMIT_POLICY, policy.clone());
    }
    if let Some(state) = &exchange.rate_limit {
        headers.insert(RATE_LIMIT, state.clone());
    }
}
