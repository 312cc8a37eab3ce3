//! Request heads as they are written to an upstream, and the framing of what follows (RFC 9112, sections 3 and 6).

use std::time::Duration;

use http::{HeaderMap, Method, Uri};

use super::deadline::grpc_timeout;
use super::head::{Asked, decimal};
use crate::message::{Fields, Name, NameSet, write_field};

/// A request as it is given in. Its fields go out as they are; framing is written here.
#[derive(Debug)]
pub struct Request<B> {
    /// Request method.
    pub method: Method,
    /// Its path and query are the target.
    pub uri: Uri,
    /// What the head says.
    pub fields: Fields,
    /// What follows.
    pub body: B,
}

impl<B> Request<B> {
    /// The head alone, and the body.
    pub(super) fn split(self) -> (Request<()>, B) {
        let Self { method, uri, fields, body } = self;
        (Request { method, uri, fields, body: () }, body)
    }
}

/// How the end of a request's body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many octets are still to come.
    Length(u64),
    /// Chunks, an empty one at the end.
    Chunked,
}

/// What there is to know of a request once its head is written.
#[derive(Debug)]
pub(super) struct Outline {
    pub(super) framing: Framing,
    /// It may be sent twice: idempotent, and without a body (RFC 9110, section 9.2.2).
    pub(super) repeatable: bool,
    /// Its body waits for a 100.
    pub(super) expects_continue: bool,
    pub(super) asked: Asked,
    /// How long the client itself will wait, where it says so.
    pub(super) deadline: Option<Duration>,
}

/// What a first look over the fields tells.
struct Seen {
    length: Option<u64>,
    upgrade: bool,
    expects_continue: bool,
    grpc: bool,
}

/// Writes the head into `out`. `has_body` says whether there is a body that has not ended.
///
/// # Errors
/// The Content-Length is not one number, or says that octets follow where there is no body.
pub(super) fn write_head(request: &Request<()>, has_body: bool, out: &mut Vec<u8>) -> Result<Outline, &'static str> {
    write_request_line(&request.method, &request.uri, out);
    let seen = write_fields(&request.fields, out)?;
    let framing = match seen.length {
        Some(length) if length > 0 && !has_body => return Err("the body is shorter than its Content-Length"),
        Some(length) => Framing::Length(length),
        None if has_body => {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Framing::Chunked
        }
        None => {
            // Where a body is usual, its absence is said (RFC 9110, section 8.6).
            if matches!(request.method, Method::POST | Method::PUT | Method::PATCH) {
                out.extend_from_slice(b"content-length: 0\r\n");
            }
            Framing::Length(0)
        }
    };
    out.extend_from_slice(b"\r\n");
    Ok(Outline {
        framing,
        repeatable: !has_body && request.method.is_idempotent(),
        expects_continue: has_body && seen.expects_continue,
        asked: Asked { head: request.method == Method::HEAD, upgrade: seen.upgrade },
        deadline: if seen.grpc { grpc_timeout(&request.fields) } else { None },
    })
}

/// The target in origin form, `*` for OPTIONS alone.
fn write_request_line(method: &Method, uri: &Uri, out: &mut Vec<u8>) {
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    let target = uri.path_and_query().map_or("/", |path| path.as_str());
    let asterisk = target == "*" && method == Method::OPTIONS;
    if !asterisk && !target.starts_with('/') {
        out.push(b'/');
    }
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

fn write_fields(fields: &Fields, out: &mut Vec<u8>) -> Result<Seen, &'static str> {
    let mut length = None;
    for value in fields.all(Name::ContentLength) {
        let this = decimal(value).ok_or("the Content-Length is not a number")?;
        if length.replace(this).is_some_and(|before| before != this) {
            return Err("the request has several lengths");
        }
    }
    // HTTP/2 clients send cookies one by one; HTTP/1.1 has one field for them all (RFC 9113, section 8.2.3). One length is enough,
    // and framing is decided here, whatever anyone put in.
    let are_usual = fields.all(Name::Cookie).count() < 2 && fields.all(Name::ContentLength).count() < 2;
    if are_usual && !fields.has(Name::TransferEncoding) {
        fields.write(out);
    } else {
        fields.write_without(NameSet::of(&[Name::Cookie, Name::ContentLength, Name::TransferEncoding]), out);
        write_cookies(fields, out);
        if let Some(length) = length {
            write_field(b"content-length", itoa::Buffer::new().format(length).as_bytes(), out);
        }
    }
    Ok(Seen {
        length,
        upgrade: fields.has(Name::Upgrade),
        grpc: fields.get(Name::ContentType).is_some_and(|media| media.starts_with(b"application/grpc")),
        expects_continue: fields.all(Name::Expect).any(|value| value.eq_ignore_ascii_case(b"100-continue")),
    })
}

fn write_cookies(fields: &Fields, out: &mut Vec<u8>) {
    let mut before: &[u8] = b"cookie: ";
    // An empty one would leave an empty pair (RFC 6265, section 4.2.1).
    for value in fields.all(Name::Cookie).filter(|value| !value.is_empty()) {
        out.extend_from_slice(before);
        out.extend_from_slice(value);
        before = b"; ";
    }
    if before == b"; " {
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes the last chunk and the trailer section.
pub(super) fn write_trailers(trailers: &HeaderMap, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        write_field(name.as_str().as_bytes(), value.as_bytes(), out);
    }
    out.extend_from_slice(b"\r\n");
}
