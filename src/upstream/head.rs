//! Response heads: parsed strictly, and refused where another reader could see another message in them
//! (RFC 9112, sections 4 to 6).

use std::mem::MaybeUninit;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::{Response, StatusCode, Version};
use hyper::ext::ReasonPhrase;

use super::decoder::Decoder;
use crate::message::{Fields, Name, Parsed};

/// Fields of a head, and of a trailer section.
pub(super) const MAX_FIELDS: usize = 128;
/// Interim responses to one request.
pub(super) const MAX_INTERIM: u8 = 16;

/// What the request asked for, which decides how its response is framed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) head: bool,
    pub(super) upgrade: bool,
}

/// The head of a final response.
#[derive(Debug)]
pub(super) struct ResponseHead {
    pub(super) status: StatusCode,
    /// Where it is another than the usual one.
    pub(super) reason: Option<ReasonPhrase>,
    pub(super) fields: Fields,
    pub(super) decoder: Decoder,
    /// Whether the upstream keeps the connection open afterwards.
    pub(super) reusable: bool,
    /// How long it says it does, from `Keep-Alive: timeout=`.
    pub(super) keep: Option<Duration>,
}

/// What the octets so far amount to. It is moved once; a box would cost each response an allocation.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub(super) enum Heads {
    /// Not yet a head.
    More,
    /// An interim head was taken off: 100, 103 or another (RFC 9110, section 15.2).
    Interim(Response<()>),
    /// A final head was taken off.
    Final(ResponseHead),
}

/// Reads the heads of one response: any number of interim ones up to a limit, and the final one.
#[derive(Debug)]
pub(super) struct HeadReader {
    asked: Asked,
    max_head: usize,
    interim: u8,
    /// Where the search for the end of the head stands.
    scanned: usize,
    /// At this length it is parsed even without an end, so that what is no HTTP is found out soon, but not anew with each octet.
    parse_at: usize,
}

impl HeadReader {
    pub(super) const fn new(asked: Asked, max_head: usize) -> Self {
        Self { asked, max_head, interim: 0, scanned: 0, parse_at: 1 }
    }

    /// Whether an interim response has come.
    pub(super) const fn has_begun(&self) -> bool {
        self.interim > 0
    }

    /// Takes a head off `read`, if there is one.
    // Kept apart, so that its instructions can be told from others (`bench/instructions`).
    #[inline(never)]
    pub(super) fn advance(&mut self, read: &mut BytesMut) -> Result<Heads, &'static str> {
        if read.len() < self.parse_at && !has_empty_line(&read[self.scanned.saturating_sub(3)..]) {
            self.scanned = read.len();
            return Ok(Heads::More);
        }
        let Some((length, head)) = parse(read, self.asked)? else {
            if read.len() > self.max_head {
                return Err("the response head is too large");
            }
            self.scanned = read.len();
            self.parse_at = (2 * read.len()).min(self.max_head + 1);
            return Ok(Heads::More);
        };
        if length > self.max_head {
            return Err("the response head is too large");
        }
        read.advance(length);
        (self.scanned, self.parse_at) = (0, 1);
        if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Heads::Final(head));
        }
        self.interim += 1;
        if self.interim > MAX_INTERIM {
            return Err("too many interim responses");
        }
        let mut interim = Response::new(());
        *interim.status_mut() = head.status;
        *interim.headers_mut() = head.fields.to_map();
        Ok(Heads::Interim(interim))
    }
}

/// Whether the empty line after the fields may be there; bare line feeds count, since parsing is what refuses them.
fn has_empty_line(octets: &[u8]) -> bool {
    octets.windows(2).any(|pair| pair == b"\n\n") || octets.windows(3).any(|three| three == b"\n\r\n")
}

fn parse(octets: &[u8], asked: Asked) -> Result<Option<(usize, ResponseHead)>, &'static str> {
    // httparse would skip empty lines.
    if !octets.iter().zip(b"HTTP/1.").all(|(octet, wanted)| octet == wanted) {
        return Err("the response does not begin with HTTP/1.");
    }
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let length = match httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, octets, &mut fields) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err("the response has too many fields"),
        Err(_) => return Err("the response head is malformed"),
    };
    // Both are there after a complete parse.
    let (Some(version), Some(code)) = (response.version, response.code) else { return Err("the response head is malformed") };
    let head = &octets[..length];
    if !has_whole_line_ends(head, response.headers) {
        return Err("a line of the response head ends without a carriage return");
    }
    let version = if version == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    let status = StatusCode::from_u16(code).map_err(|_| "the response has no such status")?;
    let mut framing = Framing::default();
    let mut fields = Parsed::of(head);
    for field in response.headers.iter() {
        let name = Name::of(field.name.as_bytes());
        if framing.see(name, field.value)? {
            fields.add(name, field.name.as_bytes(), field.value);
        }
    }
    let mut fields = fields.into_fields();
    let usual = status.canonical_reason().unwrap_or("");
    let reason = response.reason.filter(|reason| *reason != usual).and_then(|reason| ReasonPhrase::try_from(reason.as_bytes()).ok());
    let (decoder, reusable) = framing.conclude(status, version, &mut fields, asked)?;
    Ok(Some((length, ResponseHead { status, reason, fields, decoder, reusable, keep: framing.keep })))
}

/// Whether each line feed has its carriage return. The parser lets neither pass within a line, so that it is enough to look in
/// front of each field and at the end. A section of trailers begins with its first field.
pub(super) fn has_whole_line_ends(head: &[u8], fields: &[httparse::Header<'_>]) -> bool {
    let before = |name: &str| &head[..(name.as_ptr() as usize).saturating_sub(head.as_ptr() as usize)];
    let is_line_end = |before: &[u8]| before.is_empty() || before.ends_with(b"\r\n");
    let ends = head == b"\r\n" || head.ends_with(b"\r\n\r\n");
    ends && fields.iter().all(|field| is_line_end(before(field.name)))
}

/// What the fields say about the end of the body and of the connection.
#[derive(Debug, Default)]
struct Framing {
    length: Option<u64>,
    /// A field lists it.
    listed: bool,
    /// The first bad value: it counts only where there is a body.
    bad: Option<&'static str>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    keep: Option<Duration>,
}

impl Framing {
    /// Looks at a field; false where it repeats what was said.
    fn see(&mut self, name: Name, value: &[u8]) -> Result<bool, &'static str> {
        match name {
            Name::Connection => self.see_connection(value),
            Name::KeepAlive => self.keep = keep_alive_timeout(value).or(self.keep),
            Name::ContentLength => return self.see_lengths(value),
            Name::TransferEncoding => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    self.bad = Some("the Transfer-Encoding is not `chunked`");
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(true)
    }

    /// The same length may be said several times, in fields or in a list; it is handed on once (RFC 9110, section 8.6).
    fn see_lengths(&mut self, value: &[u8]) -> Result<bool, &'static str> {
        let is_first = self.length.is_none();
        for item in value.split(|octet| *octet == b',').map(<[u8]>::trim_ascii) {
            let length = decimal(item).ok_or("the Content-Length is not a number")?;
            if self.length.replace(length).is_some_and(|before| before != length) {
                return Err("the response has several lengths");
            }
            self.listed |= item.len() != value.len();
        }
        Ok(is_first)
    }

    fn see_connection(&mut self, value: &[u8]) {
        for option in value.split(|octet| *octet == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// How the body ends, and whether the connection may be used again after it (RFC 9112, section 6.3).
    fn conclude(&self, status: StatusCode, version: Version, fields: &mut Fields, asked: Asked) -> Result<(Decoder, bool), &'static str> {
        let mut reusable = !self.close && (version == Version::HTTP_11 || self.keep_alive);
        if let Some(length) = self.length.filter(|_| self.listed) {
            fields.set(Name::ContentLength, itoa::Buffer::new().format(length));
        }
        let upgraded = status == StatusCode::SWITCHING_PROTOCOLS;
        if upgraded && !(asked.upgrade && version == Version::HTTP_11) {
            return Err("the upstream switched protocols unasked");
        }
        let decoder = if asked.head || status == StatusCode::NOT_MODIFIED {
            Decoder::Length(0)
        } else if status.is_informational() || status == StatusCode::NO_CONTENT {
            // A length has no place here (RFC 9110, section 8.6), and who sends one may send a body as well.
            fields.remove(Name::ContentLength);
            reusable &= !self.chunked && self.length.unwrap_or(0) == 0;
            Decoder::Length(0)
        } else if self.chunked {
            if let Some(bad) = self.bad {
                return Err(bad);
            }
            if self.length.is_some() {
                return Err("the response has both Transfer-Encoding and Content-Length");
            }
            if version == Version::HTTP_10 {
                return Err("an HTTP/1.0 response has a Transfer-Encoding");
            }
            Decoder::chunked()
        } else if let Some(length) = self.length {
            Decoder::Length(length)
        } else {
            reusable = false;
            Decoder::UntilClose
        };
        Ok((decoder, reusable))
    }
}

/// Digits only, and no more than fit.
pub(super) fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |sum, octet| match octet {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(octet - b'0')),
        _ => None,
    })
}

fn keep_alive_timeout(value: &[u8]) -> Option<Duration> {
    value.split(|octet| *octet == b',').map(<[u8]>::trim_ascii).find_map(|parameter| {
        let (name, rest) = parameter.split_at_checked(8)?;
        if !name.eq_ignore_ascii_case(b"timeout=") {
            return None;
        }
        decimal(rest).map(Duration::from_secs)
    })
}
