//! Who may use the admin API.
//!
//! With a token: who sends it. Without: programs on this machine only, and not a web page that a browser on this machine
//! shows: such a page can send requests here, but not without an `Origin` on writes, not with a JSON content type unless
//! asked first, and (by DNS rebinding) only under a name of its own in `Host`.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::App;
use super::error::Problem;
use crate::access::is_forwarded;

/// Who was let in, for the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor(pub &'static str);

impl Actor {
    /// Who asks what everyone may, without being let in.
    const PROBE: Self = Self("probe");

    /// True where it was not let in.
    pub fn is_stranger(self) -> bool {
        self == Self::PROBE
    }
}

/// Lets the request on, with its [`Actor`], or answers 401 or 403.
pub async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let open = matches!(request.uri().path(), "/livez" | "/readyz" | "/webhooks/stripe" | "/.well-known/jwks.json");
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let facts = Facts { peer, method: request.method(), uri: request.uri(), headers: request.headers() };
    match admit(app.config.admin.token.as_ref(), &facts) {
        Ok(actor) => request.extensions_mut().insert(actor),
        Err(_) if open => request.extensions_mut().insert(Actor::PROBE),
        Err(problem) => return problem.into_response(),
    };
    next.run(request).await
}

/// What is known of a request before its body.
pub struct Facts<'a> {
    /// The other end of the connection.
    pub peer: Option<IpAddr>,
    /// Request method.
    pub method: &'a Method,
    /// Request target.
    pub uri: &'a Uri,
    /// Header fields.
    pub headers: &'a HeaderMap,
}

/// Decides who this is; the problem says what is missing.
pub fn admit(token: Option<&SecretString>, facts: &Facts<'_>) -> Result<Actor, Problem> {
    match token {
        Some(token) => bearer(token, facts.headers),
        None => loopback(facts).map_err(|detail| Problem::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden", detail)),
    }
}

fn bearer(token: &SecretString, headers: &HeaderMap) -> Result<Actor, Problem> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let given = match (fields.next(), fields.next()) {
        (Some(field), None) => field.as_bytes().split_at_checked(7).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer ")),
        _ => None,
    };
    // Compared in constant time; only the length shows.
    let right = given.is_some_and(|(_, secret)| bool::from(secret.trim_ascii().ct_eq(token.expose_secret().as_bytes())));
    if right {
        return Ok(Actor("admin"));
    }
    let detail = "The admin API wants `Authorization: Bearer …` with the value of admin.token.";
    let challenge = HeaderValue::from_static("Bearer realm=\"gatehouse admin\"");
    Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Unauthorized", detail).with_header(header::WWW_AUTHENTICATE, challenge))
}

fn loopback(facts: &Facts<'_>) -> Result<Actor, &'static str> {
    if !facts.peer.is_some_and(|peer| peer.to_canonical().is_loopback()) {
        return Err("Without admin.token, only this machine is answered; set admin.token to use the admin API from elsewhere.");
    }
    let mut hosts = facts.headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let authority = facts.uri.authority().map(http::uri::Authority::as_str);
    let named = host.or(authority).is_some() && hosts.next().is_none();
    if !named || !host.into_iter().chain(authority).all(is_loopback_name) {
        return Err("Without admin.token, the admin API answers to localhost, 127.0.0.1 and [::1] only.");
    }
    if facts.headers.contains_key(header::ORIGIN) {
        return Err("Without admin.token, no web page is answered (the request has an Origin).");
    }
    if is_forwarded(facts.headers.keys().map(|name| name.as_str().as_bytes())) {
        return Err("Without admin.token, no forwarded request is answered.");
    }
    // A page cannot send DELETE without asking first, so a DELETE without a body needs no content type.
    let bare_delete = facts.method == Method::DELETE && !facts.headers.contains_key(header::CONTENT_TYPE);
    let write = !matches!(*facts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if write && !bare_delete && !is_json(facts.headers) {
        return Err("Without admin.token, writes need `Content-Type: application/json`.");
    }
    Ok(Actor("loopback"))
}

/// True where the one content type is JSON, or a merge patch; neither can be sent by a page without asking first.
pub fn is_json(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return false };
    let essence = field.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.eq_ignore_ascii_case("application/merge-patch+json")
}

/// `localhost`, 127.0.0.0/8 or `[::1]`, with any port.
fn is_loopback_name(authority: &str) -> bool {
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok_and(|address| address.to_canonical().is_loopback()),
        None => name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
    }
}
