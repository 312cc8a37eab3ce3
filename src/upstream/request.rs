//! Request heads as they are written to an upstream, and the framing of what follows (RFC 9112, sections 3 and 6).

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Uri};

use super::deadline::grpc_timeout;
use super::head::{Asked, decimal};

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
#[derive(Default)]
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
pub(super) fn write_head(parts: &Parts, has_body: bool, out: &mut Vec<u8>) -> Result<Outline, &'static str> {
    write_request_line(&parts.method, &parts.uri, out);
    let seen = write_fields(&parts.headers, out)?;
    let framing = match seen.length {
        Some(length) if length > 0 && !has_body => return Err("the body is shorter than its Content-Length"),
        Some(length) => Framing::Length(length),
        None if has_body => {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Framing::Chunked
        }
        None => {
            // Where a body is usual, its absence is said (RFC 9110, section 8.6).
            if matches!(parts.method, Method::POST | Method::PUT | Method::PATCH) {
                out.extend_from_slice(b"content-length: 0\r\n");
            }
            Framing::Length(0)
        }
    };
    out.extend_from_slice(b"\r\n");
    Ok(Outline {
        framing,
        repeatable: !has_body && parts.method.is_idempotent(),
        expects_continue: has_body && seen.expects_continue,
        asked: Asked { head: parts.method == Method::HEAD, upgrade: seen.upgrade },
        deadline: if seen.grpc { grpc_timeout(&parts.headers) } else { None },
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

fn write_fields(headers: &HeaderMap, out: &mut Vec<u8>) -> Result<Seen, &'static str> {
    let mut seen = Seen::default();
    let mut cookies = 0;
    for (name, value) in headers {
        match *name {
            header::CONTENT_LENGTH => {
                let length = decimal(value.as_bytes()).ok_or("the Content-Length is not a number")?;
                match seen.length.replace(length) {
                    Some(before) if before != length => return Err("the request has several lengths"),
                    Some(_) => continue,
                    None => {}
                }
            }
            // Framing is decided here, whatever anyone put in.
            header::TRANSFER_ENCODING => continue,
            header::UPGRADE => seen.upgrade = true,
            header::CONTENT_TYPE => seen.grpc |= value.as_bytes().starts_with(b"application/grpc"),
            header::EXPECT => seen.expects_continue |= value.as_bytes().eq_ignore_ascii_case(b"100-continue"),
            header::COOKIE => {
                cookies += 1;
                // HTTP/2 clients send cookies one by one; HTTP/1.1 has one field for them all (RFC 9113, section 8.2.3).
                // The map hands out the values of a name one after the other.
                if cookies > 1 {
                    out.truncate(out.len() - 2);
                    write_value(b"; ", value, out);
                    continue;
                }
            }
            _ => {}
        }
        write_field(name, value, out);
    }
    Ok(seen)
}

/// Neither name nor value can hold a line end: their types do not allow it.
fn write_field(name: &HeaderName, value: &HeaderValue, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_str().as_bytes());
    write_value(b": ", value, out);
}

fn write_value(before: &[u8], value: &HeaderValue, out: &mut Vec<u8>) {
    out.extend_from_slice(before);
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes the last chunk and the trailer section.
pub(super) fn write_trailers(trailers: &HeaderMap, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        write_field(name, value, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the line before a chunk's data.
pub(super) fn write_chunk_size(size: usize, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        // A nibble is below 16.
        out.push(DIGITS[(size >> (4 * place)) & 0xf]);
    }
    out.extend_from_slice(b"\r\n");
}
