//! Fields by which proxies say that they stand between: where nobody was told to trust them, their sender may be anyone.

use http::HeaderMap;

/// In lower case, with `-` between words. Whatever begins with `x-forwarded-` counts as well.
const FIELDS: &[&str] = &[
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-envoy-external-address",
    "cf-connecting-ip",
    "true-client-ip",
    "fastly-client-ip",
];

/// Whether a request says, in any spelling, that it came through something else.
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let folded = name.as_str().replace(['_', '.'], "-");
        folded.starts_with("x-forwarded-") || FIELDS.contains(&folded.as_str())
    })
}
