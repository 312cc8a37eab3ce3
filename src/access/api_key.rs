//! API keys (stub).
use crate::model::KeyHash;
use secrecy::SecretString;
/// A new key, before its secret is forgotten.
pub struct IssuedKey {
    /// Shown once.
    pub secret: SecretString,
    /// To recognise it by.
    pub prefix: String,
    /// What is stored.
    pub hash: KeyHash,
}
/// Draws a new key: `gh_live_` + 43 base62 characters (256 bits) + 6 of checksum.
pub fn new_key() -> IssuedKey {
    todo!()
}
/// True for what claims to be a gatehouse key, right or wrong.
pub fn is_gatehouse_key(text: &str) -> bool {
    text.starts_with("gh_")
}
/// The hash to look up; `None` where form or checksum say that it was never issued.
pub fn key_hash(_text: &str) -> Option<KeyHash> {
    todo!()
}
