//! From a response's head to octets: the only file that knows how it is written, and how the end of its body is told
//! (RFC 9112, section 6).

use http::{HeaderMap, HeaderName, Response, StatusCode};

use crate::clock;
use crate::message::{Fields, Name, NameSet, write_field};
use crate::proxy::answer::Answer;

/// What of the request decides about the answer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    /// The answer to HEAD has no body.
    pub(super) is_head: bool,
    /// Of HTTP/1.0, whose clients know no chunks.
    pub(super) is_http_10: bool,
    /// Another request may follow.
    pub(super) keeps_alive: bool,
    pub(super) takes_trailers: bool,
}

/// What is known of the body's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Known(u64),
    Unknown,
}

/// How the end of the body is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many octets are still to come.
    Length(u64),
    /// Chunks, an empty one at the end; then those of these fields that are there.
    Chunked(Vec<HeaderName>),
    /// By the end of the connection.
    UntilClose,
}

/// What a head leads to.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) framing: Framing,
    /// The connection ends with the answer.
    pub(super) closes: bool,
}

/// Writes a head behind `out`.
// Kept apart, so that its instructions can be told from others (`bench/instructions`).
#[inline(never)]
pub(super) fn write_head(answer: &Answer, length: Length, asked: Asked, out: &mut Vec<u8>) -> Written {
    let Answer { status, fields, .. } = answer;
    write_status(answer, asked.is_http_10, out);
    write_fields(fields, out);
    let may_have_body = may_have_body(*status) && !asked.is_head;
    let said = fields.get(Name::ContentLength);
    let length = match (length, said) {
        (Length::Unknown, Some(said)) => std::str::from_utf8(said).ok().and_then(|said| said.parse().ok()).map_or(length, Length::Known),
        _ => length,
    };
    let framing = match length {
        // What GET would get, or a 200 in place of this 304 (RFC 9110, section 8.6).
        _ if !may_have_body => {
            if let Some(said) = said.filter(|_| asked.is_head || *status == StatusCode::NOT_MODIFIED) {
                write_field(b"content-length", said, out);
            }
            Framing::Length(0)
        }
        Length::Known(length) => {
            write_field(b"content-length", itoa::Buffer::new().format(length).as_bytes(), out);
            Framing::Length(length)
        }
        Length::Unknown if asked.is_http_10 => Framing::UntilClose,
        Length::Unknown => {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Framing::Chunked(if asked.takes_trailers { announced(fields) } else { Vec::new() })
        }
    };
    if may_have_body && !asked.is_http_10 {
        write_list(fields, Name::Trailer, "", out);
    }
    let says_close = items(fields, Name::Connection).any(|item| item.eq_ignore_ascii_case(b"close"));
    let switches = *status == StatusCode::SWITCHING_PROTOCOLS;
    let closes = !asked.keeps_alive || says_close || framing == Framing::UntilClose || switches;
    // Each version takes the other thing for granted.
    let option = match (closes, asked.is_http_10) {
        (true, false) if !says_close && !switches => "close",
        (false, true) => "keep-alive",
        _ => "",
    };
    write_list(fields, Name::Connection, option, out);
    if !fields.has(Name::Date) {
        clock::with_http_date(|date| write_field(b"date", date.as_bytes(), out));
    }
    out.extend_from_slice(b"\r\n");
    Written { framing, closes }
}

const fn may_have_body(status: StatusCode) -> bool {
    !matches!(status.as_u16(), 100..200 | 204 | 304)
}

fn write_status(answer: &Answer, is_http_10: bool, out: &mut Vec<u8>) {
    if answer.reason.is_none() && answer.status == StatusCode::OK && !is_http_10 {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    let usual = || answer.status.canonical_reason().unwrap_or_default().as_bytes();
    let reason = answer.reason.as_ref().map_or_else(usual, |said| said.as_bytes());
    out.extend_from_slice(if is_http_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.extend_from_slice(answer.status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

/// All fields but those that are written by those who decide about them.
fn write_fields(fields: &Fields, out: &mut Vec<u8>) {
    const DECIDED: NameSet = NameSet::of(&[Name::ContentLength, Name::TransferEncoding, Name::Trailer, Name::Connection]);
    fields.write_without(DECIDED, out);
}

fn items(fields: &Fields, name: Name) -> impl Iterator<Item = &[u8]> {
    fields.all(name).flat_map(|value| value.split(|octet| *octet == b',').map(<[u8]>::trim_ascii))
}

/// Writes all values of a field, and `more`, as one list, if there are any.
fn write_list(fields: &Fields, name: Name, more: &'static str, out: &mut Vec<u8>) {
    if !fields.has(name) && more.is_empty() {
        return;
    }
    out.extend_from_slice(name.text().as_bytes());
    for (number, value) in fields.all(name).chain((!more.is_empty()).then_some(more.as_bytes())).enumerate() {
        out.extend_from_slice(if number == 0 { b": " } else { b", " });
        out.extend_from_slice(value);
    }
    out.extend_from_slice(b"\r\n");
}

/// The fields that `Trailer` names.
fn announced(fields: &Fields) -> Vec<HeaderName> {
    items(fields, Name::Trailer).filter_map(|name| HeaderName::from_bytes(name).ok()).collect()
}

/// Writes the last chunk, and behind it those of `trailers` that were announced.
pub(super) fn write_last_chunk(announced: &[HeaderName], trailers: &HeaderMap, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.iter().filter(|(name, _)| announced.contains(name)) {
        write_field(name.as_str().as_bytes(), value.as_bytes(), out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes an interim response behind `out`.
pub(super) fn write_interim(interim: &Response<()>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(interim.status().as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(interim.status().canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in interim.headers() {
        write_field(name.as_str().as_bytes(), value.as_bytes(), out);
    }
    out.extend_from_slice(b"\r\n");
}
