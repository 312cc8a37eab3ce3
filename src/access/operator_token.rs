//! Tokens of operators: like API keys, under a prefix of their own, so that neither is taken for the other.

use secrecy::SecretString;

use super::api_key::{CHECKSUM_CHARS, RANDOM_CHARS, checksum, push_random};
use crate::model::hex;

const PREFIX: &str = "gh_admin_";
/// How much of a token's beginning and end is shown in lists.
const SHOWN_CHARS: usize = 4;

/// A new token, before its secret is forgotten.
pub struct IssuedToken {
    /// Shown once.
    pub secret: SecretString,
    /// To recognise it by.
    pub prefix: String,
    /// The same, from its end.
    pub last_four: String,
    /// What is stored.
    pub hash: String,
}

/// Draws a new token: `gh_admin_` + 43 base62 characters (256 bits) + 6 of checksum.
pub fn new_token() -> IssuedToken {
    let mut text = String::with_capacity(PREFIX.len() + RANDOM_CHARS + CHECKSUM_CHARS);
    text.push_str(PREFIX);
    push_random(&mut text);
    let checksum = checksum(&text);
    text.push_str(&checksum);
    let prefix = text.chars().take(PREFIX.len() + SHOWN_CHARS).collect();
    let last_four = text.chars().skip(text.len() - SHOWN_CHARS).collect();
    let hash = token_hash(text.as_bytes());
    IssuedToken { secret: SecretString::from(text), prefix, last_four, hash }
}

/// What is compared: the SHA-256 of a token, of whatever form, in lower-case hexadecimal.
pub fn token_hash(token: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::key_hash;
    use secrecy::ExposeSecret;

    #[test]
    fn a_token_is_shown_by_its_ends_and_is_no_api_key() {
        let (one, two) = (new_token(), new_token());
        let text = one.secret.expose_secret();
        assert_eq!((text.len(), one.prefix.len(), one.last_four.len()), (58, 13, 4));
        assert!(text.starts_with(&one.prefix) && text.ends_with(&one.last_four) && one.hash != two.hash);
        assert_eq!((token_hash(text.as_bytes()), key_hash(text)), (one.hash, None));
    }
}
