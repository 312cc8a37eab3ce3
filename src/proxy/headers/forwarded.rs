//! What the gateway says to the upstream about where a request came from: X-Forwarded-*, Forwarded (RFC 7239), traceparent
//! (W3C Trace Context) and Via (RFC 9110, section 7.6.3).

use std::fmt::Write as _;
use std::net::IpAddr;

use http::Version;

use crate::message::{Fields, Name};

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
}

/// Sets the fields that tell the upstream where the request came from. To be called after
/// [`strip_request`](super::strip_request), which takes off what the peer may not say.
pub fn forwarded_for(fields: &mut Fields, forwarding: &Forwarding<'_>) {
    let Forwarding { peer, trusted, proto, host } = forwarding;
    // One buffer for all that is written here; each field takes its own copy.
    let mut text = String::with_capacity(128);
    let peer = peer.to_canonical();
    push_address(&mut text, peer);
    extend(fields, Name::XForwardedFor, &text, *trusted);
    // What no authority can be leaves a field out rather than someone else's word in.
    if is_value(host) {
        write_element(&mut text, peer, proto, host);
        extend(fields, Name::Forwarded, &text, *trusted);
        keep_or_set(fields, Name::XForwardedHost, host, *trusted);
    } else {
        fields.remove(Name::Forwarded);
        fields.remove(Name::XForwardedHost);
    }
    keep_or_set(fields, Name::XForwardedProto, proto, *trusted);
}

/// Goes on with the trace of a trusted peer, or begins one: `random` is 16 octets of trace id and 8 of span id.
pub fn trace(fields: &mut Fields, trusted: bool, random: &[u8; 24]) {
    if !(trusted && continues_trace(fields)) {
        fields.remove(Name::Tracestate);
        fields.set(Name::Traceparent, new_traceparent(random));
    }
}

/// Adds the gateway to Via; `version` is that of the message as it was received.
pub fn append_via(fields: &mut Fields, version: Version) {
    let via = match version {
        Version::HTTP_10 => "1.0 gatehouse",
        Version::HTTP_2 => "2.0 gatehouse",
        Version::HTTP_3 => "3.0 gatehouse",
        _ => "1.1 gatehouse",
    };
    fields.push(Name::Via, via);
}

/// Adds `element` to the end of a list, as one field, or replaces it.
fn extend(fields: &mut Fields, name: Name, element: &str, trusted: bool) {
    if !trusted || !fields.has(name) {
        return fields.set(name, element);
    }
    let mut list = Vec::new();
    for value in fields.all(name).filter(|value| !value.is_empty()) {
        list.extend_from_slice(value);
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(element.as_bytes());
    fields.set(name, list);
}

fn keep_or_set(fields: &mut Fields, name: Name, value: &str, trusted: bool) {
    if !(trusted && fields.has(name)) {
        fields.set(name, value);
    }
}

fn is_value(text: &str) -> bool {
    text.bytes().all(|octet| octet == b'\t' || (octet >= 0x20 && octet != 0x7f))
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
fn continues_trace(fields: &Fields) -> bool {
    let mut values = fields.all(Name::Traceparent);
    matches!((values.next(), values.next()), (Some(value), None) if is_traceparent(value))
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
