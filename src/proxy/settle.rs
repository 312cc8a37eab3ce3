//! Settle: an answer goes to the client. An app's answer is metered when its head has arrived, before any octet of it is
//! handed on; its octets are counted as they are.

use bytes::Bytes;
use http::{Method, StatusCode};

use super::answer::Answer;
use super::body::{AnswerBody, AppBody, ClientBody};
use super::context::Exchange;
use super::headers::strip_response;
use super::rate_limit::RateLimit;
use super::refusal::{Kind, Refusal};
use super::reports::take_reports;
use super::reserve::Ticket;
use super::tunnel::{ClientEnd, tunnel};
use crate::message::{Fields, Name};
use crate::upstream::Response;

/// The app has answered: the call counts, and what the answer says of usage is taken down, before the client gets any of it.
pub fn answered<B>(exchange: &Exchange, ticket: &Ticket, response: &mut Response<B>) {
    ticket.metered();
    let reported = take_reports(exchange, ticket.tenant(), &mut response.fields);
    if let Some(counting) = ticket.take_counting() {
        counting.settle(exchange, ticket.tenant(), response.status, &reported);
    }
}

/// The app's answer goes to the client.
// Kept apart, so that its instructions can be told from others (`bench/instructions`).
#[inline(never)]
pub fn app(mut exchange: Box<Exchange>, ticket: Ticket, response: Response<ClientBody>, end: Option<ClientEnd>) -> Answer {
    let Response { status, reason, mut fields, body } = response;
    let switches = status == StatusCode::SWITCHING_PROTOCOLS;
    strip_response(&mut fields, switches);
    say(&exchange, &mut fields);
    exchange.outcome.status = status.as_u16();
    let body = match (end, switches) {
        (Some(client), true) => {
            tokio::task::spawn_local(tunnel(client, body, ticket, exchange));
            AnswerBody::Own(None)
        }
        (Some(_), false) => {
            fields.push(Name::Connection, "close");
            AnswerBody::App(Box::new(AppBody::new(body, ticket, exchange)))
        }
        (None, _) => AnswerBody::App(Box::new(AppBody::new(body, ticket, exchange))),
    };
    Answer { status, reason, fields, body }
}

/// An answer of the tenant API: it counts like one of the app.
pub fn own(mut exchange: Box<Exchange>, ticket: Ticket, body: Bytes) -> Answer {
    ticket.metered();
    let mut answer = made(&mut exchange, StatusCode::OK, body);
    ticket.meter().egress(exchange.bytes_out);
    answer.fields.push(Name::ContentType, "application/json");
    answer
}

/// Points to the same place over TLS.
pub fn redirected(mut exchange: Box<Exchange>, location: &str) -> Answer {
    let mut answer = made(&mut exchange, StatusCode::PERMANENT_REDIRECT, Bytes::new());
    answer.fields.push(Name::Location, location);
    answer
}

/// What a certificate authority asked for.
pub fn challenged(mut exchange: Box<Exchange>, text: Bytes) -> Answer {
    let mut answer = made(&mut exchange, StatusCode::OK, text);
    answer.fields.push(Name::ContentType, "application/octet-stream");
    answer
}

/// What the control plane says to a notice.
pub fn told(mut exchange: Box<Exchange>, status: StatusCode, body: Bytes) -> Answer {
    let mut answer = made(&mut exchange, status, body);
    let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
    answer.fields.push(Name::ContentType, kind);
    answer
}

/// A refusal, as a problem document.
pub fn refused(mut exchange: Box<Exchange>, refusal: &Refusal) -> Answer {
    let Kind { status, code, owner, proxy_error, .. } = refusal.kind();
    tell(&exchange, refusal, code);
    let body = Bytes::from(refusal.document(exchange.id.as_str()).to_string());
    if exchange.rate_limit.is_none() {
        exchange.rate_limit = untaken(&exchange, refusal);
    }
    exchange.outcome.code = Some(code);
    exchange.outcome.owner = owner;
    let mut answer = made(&mut exchange, status, body);
    if matches!(refusal, Refusal::ClientClosed) {
        // Nobody gets this answer; the record tells that instead.
        (exchange.outcome.status, exchange.bytes_out) = (0, 0);
    }
    let fields = &mut answer.fields;
    fields.push(Name::ContentType, "application/problem+json");
    if let Some(seconds) = refusal.retry_after(exchange.time) {
        fields.push(Name::RetryAfter, itoa::Buffer::new().format(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        fields.push(Name::WwwAuthenticate, "Bearer realm=\"gatehouse\"");
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        fields.push(Name::Allow, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    }
    if status == StatusCode::NOT_FOUND {
        // A tenant that is not served any more looks like one that never was.
        fields.remove(Name::RateLimit);
        fields.remove(Name::RateLimitPolicy);
    }
    fields.push(Name::ProxyStatus, format!("gatehouse; error={proxy_error}"));
    answer
}

/// What is left of the limits of a known tenant when nothing of them was taken.
fn untaken(exchange: &Exchange, refusal: &Refusal) -> Option<RateLimit> {
    let (tenant, facts) = (exchange.tenant.as_ref()?, exchange.facts.as_ref()?);
    let rate = match refusal {
        Refusal::RateLimited(decision) => Some(*decision),
        _ => exchange.rate,
    };
    let taken = tenant.window(exchange.worker.journal.today(exchange.time.day())).calls_today();
    RateLimit::of(facts, rate, facts.calls_per_day.map(|limit| limit.saturating_sub(taken)), exchange.time)
}

/// What looks like an attempt leaves a trace with its reason, a few times a second at most; all are counted by their code.
fn tell(exchange: &Exchange, refusal: &Refusal, code: &'static str) {
    let (request_id, detail) = (exchange.id.as_str(), refusal.detail());
    if !refusal.is_suspicious() {
        tracing::debug!(request_id, code, detail, "refused");
        return;
    }
    let tenant = exchange.facts.as_ref().map(|facts| facts.tenant.slug.as_str());
    let (host, path) = (exchange.host.as_deref().unwrap_or_default(), exchange.uri.path());
    exchange.worker.suspicions.tell(|left_out| {
        tracing::warn!(code, detail, client = %exchange.client, tenant, host, path, request_id, left_out, "a request was refused");
    });
}

/// An answer that the gateway makes; what it is and whether it is whole is known at once.
fn made(exchange: &mut Exchange, status: StatusCode, body: Bytes) -> Answer {
    exchange.outcome.status = status.as_u16();
    exchange.outcome.complete = true;
    let mut fields = Fields::new();
    fields.push(Name::ContentLength, itoa::Buffer::new().format(body.len()));
    fields.push(Name::CacheControl, "no-store");
    say(exchange, &mut fields);
    if exchange.asked_for_websocket() {
        fields.push(Name::Connection, "close");
    }
    // HEAD is told the length of what GET would get, and nothing of it.
    let body = Some(body).filter(|body| !body.is_empty() && exchange.method != Method::HEAD);
    exchange.bytes_out = body.as_ref().map_or(0, |body| body.len() as u64);
    Answer { status, reason: None, fields, body: AnswerBody::Own(body) }
}

/// What every response says.
fn say(exchange: &Exchange, fields: &mut Fields) {
    fields.set(Name::XRequestId, exchange.id.as_str());
    if let Some(policy) = exchange.facts.as_ref().and_then(|facts| facts.policy_value.as_ref()) {
        fields.set(Name::RateLimitPolicy, policy);
    }
    // What the app says itself stands.
    if let Some(max_age) = exchange.hsts.filter(|_| fields.get(Name::StrictTransportSecurity).is_none()) {
        fields.push_with(Name::StrictTransportSecurity, |out| {
            out.extend_from_slice(b"max-age=");
            out.extend_from_slice(itoa::Buffer::new().format(max_age).as_bytes());
        });
    }
    if let Some(left) = exchange.rate_limit {
        fields.remove(Name::RateLimit);
        fields.push_with(Name::RateLimit, |out| left.write(out));
    }
}
