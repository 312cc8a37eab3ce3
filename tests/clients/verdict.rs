//! What a client got from a server in one case, and what both ends need to say it alike.

use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

/// What came of one case.
#[derive(Debug, Clone, Deserialize)]
pub struct Verdict {
    pub client: String,
    pub server: String,
    pub way: String,
    pub case: String,
    /// `{status, headers, body, trailers, informational, note}`, or `{failed}`.
    pub outcome: Value,
}

/// The name of a verdict's place in the tables.
pub type Key = (String, String, String, String);

impl Verdict {
    /// Client, server, way, case.
    pub fn key(&self) -> Key {
        (self.client.clone(), self.server.clone(), self.way.clone(), self.case.clone())
    }
}

/// The octets of every body: the alphabet, again and again.
pub fn pattern(count: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(count).collect()
}

/// Octets as text, one character each.
pub fn latin1(octets: &[u8]) -> String {
    octets.iter().map(|octet| char::from(*octet)).collect()
}

/// The octets of such a text.
pub fn octets_of(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).expect("a character for an octet")).collect()
}

/// Fields as pairs, in the order of the map.
pub fn pairs(headers: &HeaderMap) -> Vec<Value> {
    headers.iter().map(|(name, value)| json!([name.as_str(), latin1(value.as_bytes())])).collect()
}

/// In hexadecimal digits.
pub fn sha256(octets: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets);
    digest.as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A body as verdicts show it.
pub fn shown(body: &[u8]) -> String {
    if body.len() <= 65536 { latin1(body) } else { format!("{} octets, {}", body.len(), sha256(body)) }
}
