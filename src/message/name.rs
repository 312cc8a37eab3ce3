//! Names of the fields that the gateway acts on. A name is recognised once, when its field comes in; from then on it is a number.

use http::HeaderName;

/// Defines the names with their text.
macro_rules! names {
    ($($name:ident $text:literal,)+) => {
        /// What the name of a field is to the gateway.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs)]
        pub enum Name {
            /// One that it does not act on.
            Other,
            /// Likewise, and spelt with `_` or `.`: servers that turn names into variables may take it for another.
            Odd,
            /// Of the family `X-Forwarded-`, and none of those with a name of their own.
            XForwarded,
            $($name,)+
        }

        impl Name {
            /// All with a text of their own.
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name,)+];

            /// In lower case; empty where it is not one name.
            pub const fn text(self) -> &'static str {
                match self {
                    Self::Other | Self::Odd | Self::XForwarded => "",
                    $(Self::$name => $text,)+
                }
            }

            /// As the name in a map.
            pub(super) fn header(self) -> Option<HeaderName> {
                match self {
                    Self::Other | Self::Odd | Self::XForwarded => None,
                    // Made when the gateway is compiled; a copy of it is as good.
                    $(Self::$name => Some(const { HeaderName::from_static($text) }),)+
                }
            }
        }
    };
}

names! {
    Allow "allow",
    Authorization "authorization",
    CacheControl "cache-control",
    Connection "connection",
    ContentLength "content-length",
    ContentType "content-type",
    Cookie "cookie",
    Date "date",
    Expect "expect",
    Forwarded "forwarded",
    GrpcTimeout "grpc-timeout",
    Host "host",
    Http2Settings "http2-settings",
    KeepAlive "keep-alive",
    Location "location",
    ProxyAuthenticate "proxy-authenticate",
    ProxyAuthorization "proxy-authorization",
    ProxyConnection "proxy-connection",
    ProxyStatus "proxy-status",
    RateLimit "ratelimit",
    RateLimitPolicy "ratelimit-policy",
    RetryAfter "retry-after",
    SecWebsocketAccept "sec-websocket-accept",
    SecWebsocketKey "sec-websocket-key",
    StrictTransportSecurity "strict-transport-security",
    Te "te",
    Traceparent "traceparent",
    Tracestate "tracestate",
    Trailer "trailer",
    TransferEncoding "transfer-encoding",
    Upgrade "upgrade",
    Via "via",
    WwwAuthenticate "www-authenticate",
    XApiKey "x-api-key",
    XForwardedFor "x-forwarded-for",
    XForwardedHost "x-forwarded-host",
    XForwardedProto "x-forwarded-proto",
    XOriginalUrl "x-original-url",
    XRealIp "x-real-ip",
    XRequestId "x-request-id",
    XRewriteUrl "x-rewrite-url",
    XTenantContext "x-tenant-context",
    XTenantFeatures "x-tenant-features",
    XTenantId "x-tenant-id",
    XTenantPlan "x-tenant-plan",
    XTenantSlug "x-tenant-slug",
    XUsageProjects "x-usage-projects",
    XUsageStorage "x-usage-storage",
    XUsageUser "x-usage-user",
    XUsageUsers "x-usage-users",
    XUserId "x-user-id",
    XUserRoles "x-user-roles",
}

/// A set of names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NameSet(u64);

impl NameSet {
    /// Of these.
    pub const fn of(names: &[Name]) -> Self {
        let (mut set, mut at) = (0, 0);
        while at < names.len() {
            set |= names[at].bit();
            at += 1;
        }
        Self(set)
    }

    /// Of all that are in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a name is in it.
    pub const fn has(self, name: Name) -> bool {
        self.0 & name.bit() != 0
    }

    /// Whether one of another is in it.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Takes a name in.
    pub(super) const fn add(&mut self, name: Name) {
        self.0 |= name.bit();
    }

    /// Without those of another.
    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// How all names of the family begin.
const FORWARDED_FAMILY: &[u8] = b"x-forwarded-";
/// No known name is longer.
const LONGEST: usize = 25;

impl Name {
    /// Recognises a name, in any case.
    pub fn of(text: &[u8]) -> Self {
        let candidates = Self::as_long_as(text);
        let found = candidates.iter().find(|name| is_same(text, name.text().as_bytes()));
        match found {
            Some(name) => *name,
            None if is_odd(text) => Self::Odd,
            None if is_of_family(text) => Self::XForwarded,
            None => Self::Other,
        }
    }

    /// Recognises a name in any case and in any spelling: servers that turn names into variables read `-`, `_` and `.` alike.
    pub fn spelt(text: &[u8]) -> Self {
        if !is_odd(text) {
            return Self::of(text);
        }
        let mut folded = [0; LONGEST];
        for (place, octet) in folded.iter_mut().zip(text) {
            *place = if matches!(octet, b'_' | b'.') { b'-' } else { *octet };
        }
        match folded.get(..text.len()) {
            Some(whole) => Self::of(whole),
            None if is_of_family(&folded) => Self::XForwarded,
            None => Self::Other,
        }
    }

    /// Its place in a set of names.
    const fn bit(self) -> u64 {
        1 << self as u8
    }

    /// The length and the first letter tell most names apart.
    const fn as_long_as(text: &[u8]) -> &'static [Self] {
        let Some(first) = text.first() else { return &[] };
        match (text.len(), first.to_ascii_lowercase()) {
            (2, b't') => &[Self::Te],
            (3, b'v') => &[Self::Via],
            (4, b'h') => &[Self::Host],
            (4, b'd') => &[Self::Date],
            (5, b'a') => &[Self::Allow],
            (6, b'c') => &[Self::Cookie],
            (6, b'e') => &[Self::Expect],
            (7, b'u') => &[Self::Upgrade],
            (7, b't') => &[Self::Trailer],
            (8, b'l') => &[Self::Location],
            (9, b'f') => &[Self::Forwarded],
            (9, b'r') => &[Self::RateLimit],
            (9, b'x') => &[Self::XRealIp, Self::XApiKey, Self::XUserId],
            (10, b'c') => &[Self::Connection],
            (10, b'k') => &[Self::KeepAlive],
            (10, b't') => &[Self::Tracestate],
            (11, b't') => &[Self::Traceparent],
            (11, b'r') => &[Self::RetryAfter],
            (11, b'x') => &[Self::XTenantId],
            (12, b'c') => &[Self::ContentType],
            (12, b'g') => &[Self::GrpcTimeout],
            (12, b'p') => &[Self::ProxyStatus],
            (12, b'x') => &[Self::XRequestId, Self::XUserRoles, Self::XUsageUser],
            (13, b'a') => &[Self::Authorization],
            (13, b'c') => &[Self::CacheControl],
            (13, b'x') => &[Self::XTenantSlug, Self::XTenantPlan, Self::XUsageUsers, Self::XRewriteUrl],
            (14, b'c') => &[Self::ContentLength],
            (14, b'h') => &[Self::Http2Settings],
            (14, b'x') => &[Self::XOriginalUrl],
            (15, b'x') => &[Self::XForwardedFor, Self::XUsageStorage],
            (16, b'p') => &[Self::ProxyConnection],
            (16, b'r') => &[Self::RateLimitPolicy],
            (16, b'w') => &[Self::WwwAuthenticate],
            (16, b'x') => &[Self::XForwardedHost, Self::XUsageProjects, Self::XTenantContext],
            (17, b's') => &[Self::SecWebsocketKey],
            (17, b't') => &[Self::TransferEncoding],
            (17, b'x') => &[Self::XForwardedProto, Self::XTenantFeatures],
            (18, b'p') => &[Self::ProxyAuthenticate],
            (19, b'p') => &[Self::ProxyAuthorization],
            (20, b's') => &[Self::SecWebsocketAccept],
            (25, b's') => &[Self::StrictTransportSecurity],
            _ => &[],
        }
    }
}

/// Whether a field's name is a known one of the same length, whatever its case. Eight octets are compared at once. The bit that
/// makes a letter small changes no other octet of a field's name into one of a known name (RFC 9110, section 5.6.2).
fn is_same(text: &[u8], known: &[u8]) -> bool {
    const SMALL: u64 = 0x2020_2020_2020_2020;
    let word = |octets: &[u8], at: usize| octets.get(at..at + 8).and_then(|eight| eight.try_into().ok()).map_or(0, u64::from_le_bytes);
    let differ = |at: usize| (word(text, at) | SMALL) ^ word(known, at);
    match text.len() {
        // The words overlap where the length is no multiple of theirs.
        length @ 25.. => differ(0) | differ(8) | differ(16) | differ(length - 8) == 0,
        length @ 16.. => differ(0) | differ(8) | differ(length - 8) == 0,
        length @ 8.. => differ(0) | differ(length - 8) == 0,
        _ => text.eq_ignore_ascii_case(known),
    }
}

fn is_odd(text: &[u8]) -> bool {
    text.iter().any(|octet| matches!(octet, b'_' | b'.'))
}

fn is_of_family(text: &[u8]) -> bool {
    text.get(..FORWARDED_FAMILY.len()).is_some_and(|start| start.eq_ignore_ascii_case(FORWARDED_FAMILY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_recognised_in_any_case_and_spelling() {
        assert!(Name::ALL.len() + 3 <= 64, "a set of names has 64 places");
        for name in Name::ALL {
            let text = name.text();
            assert!(text.len() <= LONGEST, "{text}");
            assert_eq!(Name::of(text.as_bytes()), *name, "{text}");
            assert_eq!(Name::of(text.to_uppercase().as_bytes()), *name, "{text}");
            assert_eq!(Name::spelt(text.replace('-', "_").as_bytes()), *name, "{text}");
            assert_eq!(Name::spelt(text.replace('-', ".").as_bytes()), *name, "{text}");
            assert_ne!(Name::of(format!("{text}x").as_bytes()), *name, "{text}");
        }
        for (text, name) in [
            ("", Name::Other),
            ("X-Forwarded-Port", Name::XForwarded),
            ("x-forwarded-a-name-that-is-longer-than-any", Name::XForwarded),
            ("x-forwarded", Name::Other),
        ] {
            assert_eq!(Name::of(text.as_bytes()), name, "{text}");
        }
        assert_eq!(Name::spelt(b"X_Forwarded.A_Name_That_Is_Longer_Than_Any"), Name::XForwarded);
        assert_eq!(Name::spelt(b"x_other"), Name::Other);
        assert_eq!(Name::of(b"x_tenant_id"), Name::Odd, "only its own spelling is the name");
    }
}
