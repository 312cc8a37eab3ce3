//! Who may use the admin API.
//!
//! Once there is a token, configured or an operator's: who sends one that is right, and may make the call by its role. Before: programs
//! on this machine only, and not a web page that a browser on this machine shows: such a page can send requests here, but not without
//! an `Origin` on writes, not with a JSON content type unless asked first, and (by DNS rebinding) only under a name of its own in
//! `Host`. With a token there is no such danger, because no browser adds it by itself. Who sends wrong tokens is locked out.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};

use super::App;
use super::error::Problem;
use super::permissions;
use crate::access::{Lockout, is_forwarded};
use crate::clock::{Clock, SystemClock, instant};
use crate::model::Role;

/// Who was let in, for the audit log, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The name of an operator, `admin` or `loopback`.
    pub name: Arc<str>,
    /// Nothing but reading, where it was not let in.
    pub role: Role,
    is_stranger: bool,
}

/// What is asked before anything is answered.
#[derive(Clone)]
pub struct Door {
    app: App,
    lockout: Arc<Lockout>,
}

/// Why somebody is not let in; the text is a label of the metrics.
struct Refused(&'static str, Box<Problem>);

impl Refused {
    fn of(reason: &'static str, problem: Problem) -> Self {
        Self(reason, Box::new(problem))
    }
}

impl Actor {
    fn of(name: &str, role: Role) -> Self {
        Self { name: Arc::from(name), role, is_stranger: false }
    }

    /// Who asks what everyone may, without being let in.
    fn probe() -> Self {
        Self { is_stranger: true, ..Self::of("probe", Role::ReadOnly) }
    }

    /// True where it was not let in.
    pub fn is_stranger(&self) -> bool {
        self.is_stranger
    }
}

impl Door {
    /// In front of everything that `app` answers.
    pub fn new(app: App) -> Self {
        Self { app, lockout: Arc::default() }
    }

    fn admit(&self, facts: &Facts<'_>) -> Result<Actor, Refused> {
        let now = SystemClock.now();
        if !self.app.operators.any() {
            let loopback = loopback(facts).map(|()| Actor::of("loopback", Role::Owner));
            return loopback
                .map_err(|detail| Refused::of("no_token", Problem::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden", detail)));
        }
        let Some(token) = bearer(facts.headers) else { return Err(Refused::of("no_token", unauthenticated(facts.uri))) };
        let source = facts.peer.unwrap_or(IpAddr::from([0; 4]));
        if let Some(left) = self.lockout.locked(source, instant()) {
            return Err(Refused::of("locked_out", locked_out(left)));
        }
        match self.app.operators.identify(token, now) {
            Some(identity) => {
                // Whoever has a lesser token must not be able to guess on beside it.
                if identity.role == Role::Owner {
                    self.lockout.succeeded(source);
                }
                Ok(Actor::of(&identity.name, identity.role))
            }
            None => {
                if let Some(lock) = self.lockout.failed(source, instant()) {
                    let seconds = lock.as_secs();
                    tracing::warn!(%source, seconds, "wrong tokens for the admin API: nothing of this source is answered for a while");
                }
                Err(Refused::of("wrong_token", unauthenticated(facts.uri)))
            }
        }
    }
}

/// Lets the request on, with its [`Actor`], or answers 401, 403 or 429.
pub async fn guard(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let open = permissions::OPEN.contains(&request.uri().path());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let facts = Facts { peer, method: request.method(), uri: request.uri(), headers: request.headers() };
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let may = |actor: Actor| match permissions::check(&actor, request.method(), path) {
        Ok(()) => Ok(actor),
        Err(problem) => Err(Refused::of("role", problem)),
    };
    let actor = match door.admit(&facts).and_then(may) {
        Ok(actor) => actor,
        Err(_) if open => Actor::probe(),
        Err(Refused(reason, problem)) => {
            door.app.metrics.admin_refused(reason);
            return problem.into_response();
        }
    };
    request.extensions_mut().insert(actor);
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

/// The token of a request, right or wrong, where there is exactly one.
pub fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    let (_, token) = field.as_bytes().split_at_checked(7).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))?;
    Some(token.trim_ascii()).filter(|token| !token.is_empty())
}

fn unauthenticated(uri: &Uri) -> Problem {
    let names = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let detail = match names.into_iter().any(|(name, _)| name.to_ascii_lowercase().contains("token")) {
        true => "A token is sent as `Authorization: Bearer …`, never in the URL, where logs keep it; make a new one if this was right.",
        false => "The admin API wants `Authorization: Bearer …` with the value of admin.token, or the token of an operator.",
    };
    let challenge = HeaderValue::from_static("Bearer realm=\"gatehouse admin\"");
    Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Unauthorized", detail).with_header(header::WWW_AUTHENTICATE, challenge)
}

fn locked_out(left: Duration) -> Problem {
    let seconds = left.as_millis().div_ceil(1000).max(1);
    let detail = format!("Too many wrong tokens came from this address; no token is looked at for {seconds} s.");
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Too many wrong tokens", detail);
    // Digits are always a valid field value.
    HeaderValue::from_str(&seconds.to_string()).map_or(problem.clone(), |after| problem.with_header(header::RETRY_AFTER, after))
}

/// Whether it is a program on this machine; else what is wrong.
pub fn loopback(facts: &Facts<'_>) -> Result<(), &'static str> {
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
    Ok(())
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
