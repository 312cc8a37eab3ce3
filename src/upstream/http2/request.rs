//! Request heads as they are sent over HTTP/2 (RFC 9113, section 8.3.1): the target in pseudo fields, nothing that belongs to
//! a connection.

use std::time::Duration;

use h2::ext::Protocol;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Uri};

use super::super::deadline::grpc_timeout;
use super::super::head::decimal;
use super::super::request::Request as Given;
use super::websocket;
use crate::model::Origin;

/// A head, and what there is to know of it.
pub(super) struct Outline {
    head: Request<()>,
    /// The body's Content-Length.
    pub(super) length: Option<u64>,
    /// It may be sent twice: idempotent, and without a body (RFC 9110, section 9.2.2).
    pub(super) repeatable: bool,
    /// Its body waits for a 100.
    pub(super) expects_continue: bool,
    /// The key of a WebSocket that is asked for.
    pub(super) websocket: Option<HeaderValue>,
    /// Its response has no body whatever its head says.
    pub(super) is_head: bool,
    /// How long the client itself will wait, where it says so.
    pub(super) deadline: Option<Duration>,
}

impl Outline {
    /// `has_body` says whether there is a body that has not ended.
    ///
    /// # Errors
    /// The head says what cannot be: a length that is none, or of a body that is not there; no host.
    pub(super) fn of(request: Given<()>, has_body: bool, origin: &Origin) -> Result<Self, &'static str> {
        let deadline = grpc_timeout(&request.fields);
        let mut parts = parts_of(request);
        let websocket = websocket::key(&parts);
        let expects_continue =
            has_body && parts.headers.get_all(header::EXPECT).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        let length = content_length(&mut parts.headers)?;
        if length.is_some_and(|length| length > 0) && !has_body {
            return Err("the body is shorter than its Content-Length");
        }
        let uri = target(&parts, origin)?;
        parts.headers.remove(header::HOST);
        strip_hop_by_hop(&mut parts.headers);
        let repeatable = !has_body && parts.method.is_idempotent();
        let is_head = parts.method == Method::HEAD;
        let mut head = Request::new(());
        *head.method_mut() = parts.method;
        *head.uri_mut() = uri;
        *head.headers_mut() = parts.headers;
        if websocket.is_some() {
            websocket::make_connect(&mut head);
        }
        Ok(Self { head, length, repeatable, expects_continue, websocket, is_head, deadline })
    }

    /// The head, once for each time it is sent.
    pub(super) fn head(&self) -> Request<()> {
        let mut head = Request::new(());
        head.method_mut().clone_from(self.head.method());
        head.uri_mut().clone_from(self.head.uri());
        head.headers_mut().clone_from(self.head.headers());
        if let Some(protocol) = self.head.extensions().get::<Protocol>() {
            head.extensions_mut().insert(protocol.clone());
        }
        head
    }
}

fn parts_of(request: Given<()>) -> Parts {
    let Given { method, uri, fields, .. } = request;
    let mut parts = Request::new(()).into_parts().0;
    (parts.method, parts.uri, parts.headers) = (method, uri, fields.to_map());
    parts
}

/// The target with the authority that the Host field names.
fn target(parts: &Parts, origin: &Origin) -> Result<Uri, &'static str> {
    let authority = match parts.headers.get(header::HOST) {
        Some(host) => Authority::try_from(host.as_bytes()).ok().filter(|authority| !authority.as_str().contains('@')),
        None => Authority::try_from(format!("{}:{}", origin.host, origin.port)).ok(),
    };
    let path = match parts.uri.path_and_query() {
        None => PathAndQuery::from_static("/"),
        Some(path) if path.as_str().starts_with('/') || (path == "*" && parts.method == Method::OPTIONS) => path.clone(),
        Some(path) => PathAndQuery::try_from(format!("/{}", path.as_str())).map_err(|_| "the target is no path")?,
    };
    let mut target = http::uri::Parts::default();
    target.scheme = Some(if origin.scheme.is_tls() { Scheme::HTTPS } else { Scheme::HTTP });
    target.authority = Some(authority.ok_or("the Host is not an authority")?);
    target.path_and_query = Some(path);
    Uri::from_parts(target).map_err(|_| "the target is no path")
}

/// The one length that the fields name; repetitions of it are taken off.
pub(super) fn content_length(headers: &mut HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut length = None;
    let mut count = 0;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        let this = decimal(value.as_bytes()).ok_or("the Content-Length is not a number")?;
        if length.replace(this).is_some_and(|before| before != this) {
            return Err("there are several lengths");
        }
        count += 1;
    }
    if let (Some(length), 2..) = (length, count) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(length)
}

/// Takes off what belongs to a connection (RFC 9113, section 8.2.2). Of TE, `trailers` may stay.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    const OTHERS: [HeaderName; 5] = [
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        HeaderName::from_static("http2-settings"),
    ];
    let mut named = Vec::new();
    for value in headers.get_all(header::CONNECTION) {
        named.extend(value.as_bytes().split(|octet| *octet == b',').filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()));
    }
    headers.remove(header::CONNECTION);
    for name in named.iter().chain(&OTHERS) {
        // TE has to be named there, and is looked at below.
        if *name != header::TE {
            headers.remove(name);
        }
    }
    if headers.contains_key(header::TE) {
        let trailers = headers.get_all(header::TE).iter().any(|value| {
            value.as_bytes().split(|octet| *octet == b',').any(|option| option.trim_ascii().eq_ignore_ascii_case(b"trailers"))
        });
        headers.remove(header::TE);
        if trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
    }
}
