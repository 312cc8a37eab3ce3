//! Header hygiene: which fields cross the gateway, and what it says about the client on the way up.
//!
//! Everything is a pure function on the fields of a message. What it promises: after [`strip_request`] and
//! [`strip_trailers`] no spelling of a reserved name is left (servers that turn names into variables read `-`, `_` and `.`
//! alike), no hop-by-hop field crosses, and only trusted peers can say who is behind them.

mod forwarded;
#[cfg(test)]
mod tests;

use http::HeaderMap;

use crate::message::{Fields, Name, NameSet};

pub use forwarded::{Forwarding, append_via, forwarded_for, trace};

/// Names that only the gateway may say.
const RESERVED: NameSet = NameSet::of(&[
    Name::XTenantId,
    Name::XTenantSlug,
    Name::XTenantPlan,
    Name::XTenantFeatures,
    Name::XTenantContext,
    Name::XUserId,
    Name::XUserRoles,
    Name::XRequestId,
]);

/// Fields by which proxies say who is behind them, and to which trace a request belongs.
const FORWARDING: NameSet = NameSet::of(&[
    Name::XForwarded,
    Name::XForwardedFor,
    Name::XForwardedHost,
    Name::XForwardedProto,
    Name::Forwarded,
    Name::XRealIp,
    Name::Traceparent,
    Name::Tracestate,
]);

/// Fields that name a path which some apps serve instead of the one that was asked for and judged. Proxies in front pass on what
/// clients say in them.
const ELSEWHERE: NameSet = NameSet::of(&[Name::XOriginalUrl, Name::XRewriteUrl]);

/// RFC 9110, section 7.6.1, and what is used like these. Transfer-Encoding is written anew by whoever sends the message on.
const HOP_BY_HOP: NameSet = NameSet::of(&[
    Name::Connection,
    Name::KeepAlive,
    Name::ProxyConnection,
    Name::ProxyAuthenticate,
    Name::ProxyAuthorization,
    Name::Te,
    Name::TransferEncoding,
    Name::Upgrade,
    Name::Http2Settings,
]);

/// Fields that are not removed because a client names them in Connection: the request would mean something else without them.
const NEVER_NOMINATED: NameSet = NameSet::of(&[Name::Host, Name::ContentLength, Name::ContentType]);

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

/// The tenants that a client claims to be: every occurrence of `X-Tenant-Id`. To be looked at before [`strip_request`].
pub fn tenant_claims(fields: &Fields) -> impl Iterator<Item = &[u8]> {
    fields.all(Name::XTenantId)
}

/// Takes off what must not reach the upstream: fields named in Connection, hop-by-hop fields (only `TE: trailers` stays),
/// reserved names, and the forwarding fields of peers that are not `trusted`. A trusted peer's stay in their proper spelling.
pub fn strip_request(fields: &mut Fields, trusted: bool) {
    let wants_trailers = list_items(fields, Name::Te).any(|item| item.eq_ignore_ascii_case(b"trailers"));
    remove_nominated(fields);
    let unwanted = RESERVED.or(HOP_BY_HOP).or(ELSEWHERE);
    fields.remove_all(if trusted { unwanted } else { unwanted.or(FORWARDING) });
    if fields.has(Name::Odd) {
        fields.retain(|field| field.name != Name::Odd || !RESERVED.or(FORWARDING).or(ELSEWHERE).has(Name::spelt(field.text)));
    }
    if wants_trailers {
        fields.push(Name::Te, "trailers");
        // Who sends TE has to name it (RFC 9110, section 10.1.4).
        fields.push(Name::Connection, "TE");
    }
}

/// Takes hop-by-hop fields off a response, and those named in Connection. A 101 (`is_upgrade`) keeps its Upgrade, and its
/// Connection says just that.
pub fn strip_response(fields: &mut Fields, is_upgrade: bool) {
    remove_nominated(fields);
    if is_upgrade && fields.has(Name::Upgrade) {
        fields.retain(|field| field.name == Name::Upgrade || !HOP_BY_HOP.has(field.name));
        fields.push(Name::Connection, "upgrade");
    } else {
        fields.remove_all(HOP_BY_HOP);
    }
}

/// Takes off trailers, of either direction, what only a head may say; the rest may be forwarded.
pub fn strip_trailers(trailers: &mut HeaderMap) {
    let mut fields = Fields::from(&*trailers);
    remove_nominated(&mut fields);
    fields.remove_all(HOP_BY_HOP);
    fields.retain(|field| {
        let name = Name::spelt(field.text);
        let is_unwanted = RESERVED.or(FORWARDING).or(ELSEWHERE).has(name) || name == Name::XApiKey;
        !is_unwanted && !NOT_IN_TRAILERS.iter().any(|unwanted| unwanted.as_bytes() == field.text)
    });
    if fields.len() < trailers.len() {
        *trailers = fields.to_map();
    }
}

fn list_items(fields: &Fields, name: Name) -> impl Iterator<Item = &[u8]> {
    fields.all(name).flat_map(|value| value.split(|octet| *octet == b',').map(<[u8]>::trim_ascii))
}

/// Removes the fields that Connection names. Options that name no field, or one that goes anyway, are the common ones.
fn remove_nominated(fields: &mut Fields) {
    if !fields.has(Name::Connection) {
        return;
    }
    let only = |fields: &Fields, value: &[u8]| fields.all(Name::Connection).all(|said| said == value);
    if only(fields, b"keep-alive") || only(fields, b"close") {
        return;
    }
    let is_option = |item: &[u8]| [&b"keep-alive"[..], b"close", b"upgrade", b"te"].iter().any(|known| item.eq_ignore_ascii_case(known));
    let nominated: Vec<Box<[u8]>> = list_items(fields, Name::Connection).filter(|item| !is_option(item)).map(Box::from).collect();
    if !nominated.is_empty() {
        let is_nominated = |text: &[u8]| nominated.iter().any(|name| name.eq_ignore_ascii_case(text));
        fields.retain(|field| NEVER_NOMINATED.has(field.name) || !is_nominated(field.text));
    }
}
