//! What the gateway says to the upstream about where a request came from: X-Forwarded-*, Forwarded (RFC 7239), traceparent
//! (W3C Trace Context) and Via (RFC 9110, section 7.6.3).

use std::fmt::Write as _;
use std::net::IpAddr;

use http::Version;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub struct Forwarding<'a> {
    /// The address at the other end of the connection.
    pub peer: IpAddr,
    /// Whether what the peer says about those behind it is continued.
    pub trusted: bool,
    /// `http` or `https`.
    pub proto: &'a str,
    /// The authority of the request as the client sent it, with its port.
    pub host: &'a str,
    /// The version of the request as it was received.
    pub version: Version,
    /// For a new trace: 16 octets of trace id, 8 of span id.
    pub random: [u8; 24],
}

/// Sets the fields that tell the upstream where the request came from. To be called after
/// [`strip_request`](super::strip_request), which takes off what the peer may not say.
pub fn forwarded_for(headers: &mut HeaderMap, forwarding: &Forwarding<'_>) {
    let Forwarding { peer, trusted, proto, host, version, random } = forwarding;
    // One buffer for all that is written here; each field takes its own copy.
    let mut text = String::with_capacity(128);
    let peer = peer.to_canonical();
    push_address(&mut text, peer);
    extend(headers, &X_FORWARDED_FOR, &text, *trusted);
    write_element(&mut text, peer, proto, host);
    extend(headers, &header::FORWARDED, &text, *trusted);
    keep_or_set(headers, X_FORWARDED_PROTO, proto, *trusted);
    keep_or_set(headers, X_FORWARDED_HOST, host, *trusted);
    if !(*trusted && continues_trace(headers)) {
        headers.remove(TRACESTATE);
        // Hexadecimal digits and hyphens are a valid field value.
        if let Ok(value) = HeaderValue::from_bytes(&new_traceparent(random)) {
            headers.insert(TRACEPARENT, value);
        }
    }
    append_via(headers, *version);
}

/// Adds the gateway to Via; `version` is that of the message as it was received.
fn append_via(headers: &mut HeaderMap, version: Version) {
    let via = match version {
        Version::HTTP_10 => "1.0 gatehouse",
        Version::HTTP_2 => "2.0 gatehouse",
        Version::HTTP_3 => "3.0 gatehouse",
        _ => "1.1 gatehouse",
    };
    headers.append(header::VIA, HeaderValue::from_static(via));
}

/// Adds `element` to the end of a list, as one field, or replaces it.
fn extend(headers: &mut HeaderMap, name: &HeaderName, element: &str, trusted: bool) {
    if !trusted || !headers.contains_key(name) {
        return set(headers, name.clone(), element);
    }
    let mut list = Vec::new();
    for value in headers.get_all(name) {
        if !value.is_empty() {
            list.extend_from_slice(value.as_bytes());
            list.extend_from_slice(b", ");
        }
    }
    list.extend_from_slice(element.as_bytes());
    // Made of valid field values and an element that is checked by `set`'s rule, so it is valid when the element is.
    match HeaderValue::from_maybe_shared(bytes::Bytes::from(list)) {
        Ok(value) => drop(headers.insert(name, value)),
        Err(_) => set(headers, name.clone(), element),
    }
}

fn keep_or_set(headers: &mut HeaderMap, name: HeaderName, value: &str, trusted: bool) {
    if !(trusted && headers.contains_key(&name)) {
        set(headers, name, value);
    }
}

/// A value that cannot be a field value (no authority can be one) leaves the field out rather than someone else's word in.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    match HeaderValue::from_str(value) {
        Ok(value) => drop(headers.insert(name, value)),
        Err(_) => drop(headers.remove(name)),
    }
}

/// The common kind is written by hand: the general way to format it costs more than all else here.
fn push_address(text: &mut String, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (at, octet) in address.octets().into_iter().enumerate() {
                if at > 0 {
                    text.push('.');
                }
                text.push_str(itoa::Buffer::new().format(octet));
            }
        }
        // Writing to a String cannot fail.
        IpAddr::V6(address) => drop(write!(text, "{address}")),
    }
}

/// The element of Forwarded, in place of what is in `text`.
fn write_element(text: &mut String, peer: IpAddr, proto: &str, host: &str) {
    text.clear();
    text.push_str(if peer.is_ipv6() { "for=\"[" } else { "for=" });
    push_address(text, peer);
    text.push_str(if peer.is_ipv6() { "]\";host=" } else { ";host=" });
    push_value(text, host);
    text.push_str(";proto=");
    push_value(text, proto);
}

/// A token as it is, anything else as a quoted string (RFC 7239, section 4).
fn push_value(text: &mut String, value: &str) {
    if !value.is_empty() && value.bytes().all(is_token) {
        return text.push_str(value);
    }
    text.push('"');
    for piece in value.split_inclusive(['"', '\\']) {
        let plain = piece.strip_suffix(['"', '\\']).unwrap_or(piece);
        text.push_str(plain);
        if plain.len() < piece.len() {
            text.push('\\');
            text.push_str(&piece[plain.len()..]);
        }
    }
    text.push('"');
}

const fn is_token(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(octet, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

/// Whether there is one traceparent, and a good one.
fn continues_trace(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(TRACEPARENT).iter();
    matches!((values.next(), values.next()), (Some(value), None) if is_traceparent(value.as_bytes()))
}

/// `version "-" trace-id "-" parent-id "-" flags` in lower-case hexadecimal; later versions may be longer.
fn is_traceparent(value: &[u8]) -> bool {
    let is_hex = |part: &[u8]| part.iter().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'));
    let is_zero = |part: &[u8]| part.iter().all(|octet| *octet == b'0');
    if value.len() < 55 || [2, 35, 52].iter().any(|&at| value[at] != b'-') {
        return false;
    }
    let (version, trace, parent, flags) = (&value[..2], &value[3..35], &value[36..52], &value[53..55]);
    let length_is_good = if version == b"00" { value.len() == 55 } else { value.get(55).is_none_or(|next| *next == b'-') };
    length_is_good && [version, trace, parent, flags].into_iter().all(is_hex) && version != b"ff" && !is_zero(trace) && !is_zero(parent)
}

/// Sampled, as the upstream's own tracer decides for a trace without parent by its default.
fn new_traceparent(random: &[u8; 24]) -> [u8; 55] {
    let mut value = *b"00-00000000000000000000000000000000-0000000000000000-01";
    // Places and lengths are those of the text above.
    write_id(&mut value[3..35], &random[..16]);
    write_id(&mut value[36..52], &random[16..]);
    value
}

/// An id in hexadecimal; one of zeros only would not be valid.
fn write_id(digits: &mut [u8], id: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (pair, octet) in digits.chunks_exact_mut(2).zip(id) {
        // Four bits are an index below 16.
        pair.copy_from_slice(&[HEX[usize::from(octet >> 4)], HEX[usize::from(octet & 15)]]);
    }
    if id.iter().all(|octet| *octet == 0) {
        digits[..2].copy_from_slice(b"01");
    }
}
