//! The verdict on one request head: partial, good (and how its body is framed) or bad.
//!
//! The verdict depends only on the head's octets, not on how many of them were there when it was asked for the first time:
//! whatever is found before the head is complete is found at the first offending octet, in the order of the stream.

use std::mem::MaybeUninit;

use http::Uri;
use httparse::{Error, Header, Request, Status};

use super::request::{fields_of, request_of};
use super::{FramingLimits, Violation};
use crate::message::{Field, Fields, Name, RequestHead};

/// The most fields that can be allowed.
pub(super) const MAX_HEADERS: usize = 256;

/// What a head is.
// It is moved once; a box would cost each request an allocation.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub enum Judged {
    /// More octets are needed.
    Partial,
    /// Good.
    Complete(Head),
    /// Refused.
    Bad(Violation),
}

/// A good head.
#[derive(Debug)]
pub struct Head {
    /// Octets that it takes.
    pub len: usize,
    /// What it says.
    pub request: RequestHead,
    /// What follows it.
    pub framing: Framing,
    /// The client takes another answer on the same connection.
    pub keeps_alive: bool,
    /// The client waits for a 100 before it sends the body.
    pub expects_continue: bool,
    /// The client takes trailers.
    pub takes_trailers: bool,
}

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A body of this many octets.
    Length(u64),
    /// A chunked body.
    Chunked,
    /// Perhaps another protocol.
    Upgrade,
}

/// The fields that decide about framing, routing and the connection.
#[derive(Default)]
struct Said {
    length: Option<u64>,
    chunked: bool,
    websocket: bool,
    connection_upgrade: bool,
    connection_close: bool,
    connection_keep_alive: bool,
    expects_continue: bool,
    takes_trailers: bool,
}

/// Judges the head at the start of `bytes`.
// Kept apart, so that its instructions can be told from others (`bench/instructions`).
#[inline(never)]
pub fn judge(bytes: &[u8], limits: &FramingLimits) -> Judged {
    let seen = &bytes[..bytes.len().min(limits.max_head)];
    let mut slots = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_HEADERS];
    let slots = &mut slots[..limits.max_headers.min(MAX_HEADERS)];
    let mut request = Request::new(&mut []);
    match request.parse_with_uninit_headers(seen, slots) {
        Ok(Status::Complete(len)) if has_only_crlf(&seen[..len], &request) => {
            let fields = fields_of(&seen[..len], &request);
            match check(&request, &fields, limits) {
                Ok((framing, said)) => match request_of(&request, fields) {
                    Ok(request) => Judged::Complete(head(len, request, framing, &said)),
                    Err(reason) => bad(reason),
                },
                Err(violation) => Judged::Bad(violation),
            }
        }
        _ => judge_unfinished(seen, limits),
    }
}

fn head(len: usize, request: RequestHead, framing: Framing, said: &Said) -> Head {
    let is_http_11 = request.version == http::Version::HTTP_11;
    Head {
        len,
        request,
        framing,
        // RFC 9112, section 9.3.
        keeps_alive: !said.connection_close && (is_http_11 || said.connection_keep_alive),
        expects_continue: is_http_11 && said.expects_continue,
        takes_trailers: is_http_11 && said.takes_trailers,
    }
}

/// httparse takes bare line feeds for line ends. It lets no other CR or LF pass, so it is enough to look before each field,
/// before the method and at the end.
fn has_only_crlf(head: &[u8], request: &Request<'_, '_>) -> bool {
    let before = |part: &str| &head[..(part.as_ptr() as usize).saturating_sub(head.as_ptr() as usize)];
    let leading = request.method.map_or(head, before);
    head.ends_with(b"\r\n\r\n")
        && leading.chunks(2).all(|pair| pair == b"\r\n")
        && request.headers.iter().all(|field| before(field.name).ends_with(b"\r\n"))
}

/// Judges a head that is incomplete or malformed, up to its first bare line feed.
fn judge_unfinished(seen: &[u8], limits: &FramingLimits) -> Judged {
    let bare = (0..seen.len()).find(|&at| seen[at] == b'\n' && (at == 0 || seen[at - 1] != b'\r'));
    let sound = &seen[..bare.unwrap_or(seen.len())];
    let mut slots = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_HEADERS];
    let slots = &mut slots[..limits.max_headers.min(MAX_HEADERS)];
    let mut request = Request::new(&mut []);
    let outcome = request.parse_with_uninit_headers(sound, slots);
    if target_octets(sound, &request) > limits.max_target {
        return Judged::Bad(Violation::UriTooLong);
    }
    match outcome {
        Err(Error::TooManyHeaders) => Judged::Bad(Violation::HeadersTooLarge),
        Err(error) => Judged::Bad(Violation::BadRequest(explain(error, &request))),
        Ok(_) if bare.is_some() => bad("a line ends without CR"),
        Ok(_) if seen.len() < limits.max_head => Judged::Partial,
        Ok(_) if request.version.is_none() => Judged::Bad(Violation::UriTooLong),
        Ok(_) => Judged::Bad(Violation::HeadersTooLarge),
    }
}

const fn bad(reason: &'static str) -> Judged {
    Judged::Bad(Violation::BadRequest(reason))
}

/// The octets of the target, as far as it has come.
fn target_octets(seen: &[u8], request: &Request<'_, '_>) -> usize {
    match (request.method, request.path) {
        (_, Some(target)) => target.len(),
        (Some(method), None) => {
            let start = method.as_ptr() as usize - seen.as_ptr() as usize + method.len() + 1;
            seen.iter().skip(start).take_while(|octet| **octet > b' ' && **octet != 0x7f).count()
        }
        (None, None) => 0,
    }
}

fn explain(error: Error, request: &Request<'_, '_>) -> &'static str {
    match error {
        Error::HeaderName => "bad field name, space before a colon or folded line",
        Error::HeaderValue => "bad octet in a field value",
        Error::Version if (request.method, request.path) == (Some("PRI"), Some("*")) => "HTTP/2 on an HTTP/1.1 connection",
        Error::Version => "the HTTP version is not 1.0 or 1.1",
        Error::NewLine => "bad line end",
        Error::Token if request.method.is_none() => "bad method",
        Error::Token => "bad request target",
        Error::Status | Error::TooManyHeaders => "bad request",
    }
}

/// The rules for a head whose syntax is good.
fn check(request: &Request<'_, '_>, fields: &Fields, limits: &FramingLimits) -> Result<(Framing, Said), Violation> {
    let method = request.method.unwrap_or_default();
    let target = request.path.unwrap_or_default();
    let is_http_11 = request.version == Some(1);
    if target.len() > limits.max_target {
        return Err(Violation::UriTooLong);
    }
    let said = read_fields(fields).map_err(Violation::BadRequest)?;
    check_routing(method, target, is_http_11, fields.get(Name::Host)).map_err(Violation::BadRequest)?;
    let framing = match (said.chunked, said.length) {
        (true, Some(_)) => return Err(Violation::BadRequest("Transfer-Encoding together with Content-Length")),
        (true, None) if !is_http_11 => return Err(Violation::BadRequest("Transfer-Encoding in HTTP/1.0")),
        (true, None) => Framing::Chunked,
        (false, Some(length @ 1..)) => Framing::Length(length),
        (false, _) if is_http_11 && method == "GET" && said.websocket && said.connection_upgrade => Framing::Upgrade,
        (false, _) => Framing::Length(0),
    };
    Ok((framing, said))
}

fn read_fields(fields: &Fields) -> Result<Said, &'static str> {
    let mut said = Said::default();
    for Field { name, value, .. } in fields.iter() {
        match name {
            Name::Te => said.takes_trailers |= has_token(value, b"trailers"),
            Name::Expect => said.expects_continue |= value.eq_ignore_ascii_case(b"100-continue"),
            Name::Upgrade => said.websocket |= has_token(value, b"websocket"),
            Name::Connection => {
                said.connection_upgrade |= has_token(value, b"upgrade");
                said.connection_close |= has_token(value, b"close");
                said.connection_keep_alive |= has_token(value, b"keep-alive");
            }
            Name::ContentLength => {
                let length = parse_length(value).ok_or("bad Content-Length")?;
                if said.length.replace(length).is_some() {
                    return Err("more than one Content-Length");
                }
            }
            Name::TransferEncoding => {
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err("a Transfer-Encoding other than chunked");
                }
                if std::mem::replace(&mut said.chunked, true) {
                    return Err("more than one Transfer-Encoding");
                }
            }
            _ => {}
        }
    }
    if fields.all(Name::Host).count() > 1 { Err("more than one Host") } else { Ok(said) }
}

/// Digits only; at most 2⁶³ − 1, which no body reaches and every server can count.
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length = value.iter().try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))?;
    i64::try_from(length).is_ok().then_some(length)
}

fn has_token(list: &[u8], token: &[u8]) -> bool {
    list.split(|octet| *octet == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
}

fn check_routing(method: &str, target: &str, is_http_11: bool, host: Option<&[u8]>) -> Result<(), &'static str> {
    match host {
        None if is_http_11 => return Err("no Host"),
        Some(host) if !is_host(host) => return Err("bad Host"),
        _ => {}
    }
    if !target.bytes().all(|octet| matches!(octet, b'!'..=b'~') && octet != b'#') {
        return Err("bad octet in the request target");
    }
    match target.as_bytes() {
        // The rest of it is looked at where it becomes a part of the request.
        [b'/', ..] if method != "CONNECT" => Ok(()),
        b"*" if method == "OPTIONS" => Ok(()),
        _ => check_uri(method, target, host),
    }
}

/// A field value that can name a host and a port; empty ones cannot.
fn is_host(host: &[u8]) -> bool {
    let is_host_octet = |octet: &u8| {
        octet.is_ascii_alphanumeric()
            || matches!(octet, b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=')
            || matches!(octet, b':' | b'[' | b']')
    };
    !host.is_empty() && host.iter().all(is_host_octet)
}

/// The authority form (for CONNECT only) and the absolute form, whose authority has to be the Host's.
fn check_uri(method: &str, target: &str, host: Option<&[u8]>) -> Result<(), &'static str> {
    let uri = Uri::try_from(target).map_err(|_| "bad request target")?;
    let authority = uri.authority().ok_or("bad request target")?.as_str();
    if authority.contains('@') {
        return Err("user information in the request target");
    }
    let default_port = match uri.scheme_str() {
        None if method == "CONNECT" => return Ok(()),
        Some(scheme) if method != "CONNECT" && scheme.eq_ignore_ascii_case("http") => ":80",
        Some(scheme) if method != "CONNECT" && scheme.eq_ignore_ascii_case("https") => ":443",
        _ => return Err("bad request target"),
    };
    let Some(host) = host else { return Ok(()) };
    let host = host.strip_suffix(default_port.as_bytes()).unwrap_or(host);
    let authority = authority.strip_suffix(default_port).unwrap_or(authority);
    if host.eq_ignore_ascii_case(authority.as_bytes()) { Ok(()) } else { Err("the Host differs from the request target") }
}
