//! Fields by which proxies say that they stand between: where nobody was told to trust them, their sender may be anyone.

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

/// Whether a request with fields of these names says, in any spelling, that it came through something else.
pub fn is_forwarded<'n>(mut names: impl Iterator<Item = &'n [u8]>) -> bool {
    names.any(|name| {
        let folded = String::from_utf8_lossy(name).to_ascii_lowercase().replace(['_', '.'], "-");
        folded.starts_with("x-forwarded-") || FIELDS.contains(&folded.as_str())
    })
}
