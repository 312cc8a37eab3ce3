//! Header hygiene: which fields cross the gateway, and what it says about the client on the way up.
//!
//! Everything is a pure function on a header map. What it promises: after [`strip_request`] and [`strip_trailers`] no spelling
//! of a reserved name is left (servers that turn names into variables read `-`, `_` and `.` alike), no hop-by-hop field
//! crosses, and only trusted peers can say who is behind them.

mod forwarded;
#[cfg(test)]
mod tests;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

pub use forwarded::{Forwarding, forwarded_for};

/// Names that only the gateway may say.
const RESERVED: [&str; 7] =
    ["x-tenant-id", "x-tenant-slug", "x-tenant-plan", "x-tenant-features", "x-user-id", "x-user-roles", "x-request-id"];

/// Forwarding fields outside of the `x-forwarded-` family.
const FORWARDING: [&str; 4] = ["forwarded", "x-real-ip", "traceparent", "tracestate"];

/// RFC 9110, section 7.6.1, and what is used like these. Transfer-Encoding is written anew by whoever sends the message on.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// Fields that are not removed because a client names them in Connection: the request would mean something else without them.
const NEVER_NOMINATED: [HeaderName; 3] = [header::HOST, header::CONTENT_LENGTH, header::CONTENT_TYPE];

/// Fields that frame, route or authenticate a message, which a trailer must not do (RFC 9110, section 6.5.1).
const NOT_IN_TRAILERS: [&str; 29] = [
    "accept-encoding",
    "age",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "location",
    "max-forwards",
    "pragma",
    "range",
    "retry-after",
    "set-cookie",
    "trailer",
    "vary",
    "via",
    "warning",
    "www-authenticate",
];

/// Where a key may be, which no spelling of may carry past the gateway.
const API_KEY: &str = "x-api-key";

/// Whether `name` is, in any spelling, one that only the gateway may say.
pub fn is_reserved(name: &str) -> bool {
    matches!(name.as_bytes().first(), Some(b'x' | b'X')) && RESERVED.iter().any(|reserved| is_spelling_of(name, reserved))
}

/// The tenants that a client claims to be: every occurrence of `X-Tenant-Id`. To be looked at before [`strip_request`].
pub fn tenant_claims(headers: &HeaderMap) -> impl Iterator<Item = &HeaderValue> {
    headers.get_all("x-tenant-id").iter()
}

/// Takes off what must not reach the upstream: fields named in Connection, hop-by-hop fields (only `TE: trailers` stays),
/// reserved names, and the forwarding fields of peers that are not `trusted`. A trusted peer's stay in their proper spelling.
pub fn strip_request(headers: &mut HeaderMap, trusted: bool) {
    let wants_trailers = headers.contains_key(header::TE) && takes_trailers(headers);
    remove_nominated(headers);
    remove_where(headers, |name| match name.as_bytes().first() {
        Some(b'x') => is_reserved(name) || is_forwarding(name, trusted),
        Some(b'f' | b't') => is_hop_by_hop(name) || is_forwarding(name, trusted),
        Some(b'c' | b'k' | b'p' | b'u' | b'h') => is_hop_by_hop(name),
        _ => false,
    });
    if wants_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        // Who sends TE has to name it (RFC 9110, section 10.1.4).
        headers.insert(header::CONNECTION, HeaderValue::from_static("TE"));
    }
}

/// Takes hop-by-hop fields off a response, and those named in Connection. A 101 (`is_upgrade`) keeps its Upgrade, and its
/// Connection says just that.
pub fn strip_response(headers: &mut HeaderMap, is_upgrade: bool) {
    let upgrade = headers.get(header::UPGRADE).filter(|_| is_upgrade).cloned();
    remove_nominated(headers);
    remove_where(headers, is_hop_by_hop);
    if let Some(upgrade) = upgrade {
        headers.insert(header::UPGRADE, upgrade);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// Takes off trailers, of either direction, what only a head may say; the rest may be forwarded.
pub fn strip_trailers(trailers: &mut HeaderMap) {
    remove_nominated(trailers);
    remove_where(trailers, |name| {
        is_reserved(name)
            || is_hop_by_hop(name)
            || is_forwarding(name, false)
            || is_spelling_of(name, API_KEY)
            || NOT_IN_TRAILERS.contains(&name)
    });
}

/// `reserved` is in lower case, with `-` between its words.
fn is_spelling_of(name: &str, reserved: &str) -> bool {
    name.len() == reserved.len() && starts_with_spelling_of(name, reserved)
}

fn starts_with_spelling_of(name: &str, start: &str) -> bool {
    let fold = |octet: u8| match octet {
        b'_' | b'.' => b'-',
        other => other.to_ascii_lowercase(),
    };
    name.len() >= start.len() && name.bytes().zip(start.bytes()).all(|(octet, wanted)| fold(octet) == wanted)
}

/// Whether a field says who is behind the peer. With `only_odd`, proper spellings are not counted.
fn is_forwarding(name: &str, only_odd: bool) -> bool {
    let found = starts_with_spelling_of(name, "x-forwarded-") || FORWARDING.iter().any(|known| is_spelling_of(name, known));
    found && (!only_odd || name.contains(['_', '.']))
}

fn is_hop_by_hop(name: &str) -> bool {
    HOP_BY_HOP.contains(&name)
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    list_items(headers, &header::TE).any(|item| item.eq_ignore_ascii_case(b"trailers"))
}

fn list_items<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|octet| *octet == b',').map(<[u8]>::trim_ascii))
}

/// Removes the fields that Connection names.
fn remove_nominated(headers: &mut HeaderMap) {
    if !headers.contains_key(header::CONNECTION) {
        return;
    }
    // Options that name no field, or one that goes anyway, are the common ones.
    let is_option = |item: &[u8]| [&b"keep-alive"[..], b"close", b"upgrade", b"te"].iter().any(|known| item.eq_ignore_ascii_case(known));
    let nominated: Vec<HeaderName> = list_items(headers, &header::CONNECTION)
        .filter(|item| !is_option(item))
        .filter_map(|item| HeaderName::from_bytes(item).ok())
        .filter(|name| !NEVER_NOMINATED.contains(name))
        .collect();
    for name in nominated {
        headers.remove(name);
    }
}

fn remove_where(headers: &mut HeaderMap, is_unwanted: impl Fn(&str) -> bool) {
    let unwanted: Vec<HeaderName> = headers.keys().filter(|name| is_unwanted(name.as_str())).cloned().collect();
    for name in unwanted {
        headers.remove(name);
    }
}
