//! API keys: how one is drawn, recognised and hashed. The text itself is never stored; what is stored is its SHA-256.
//!
//! A key reads `gh_live_` or `gh_test_` + 43 characters of base62 (256 bits from the system's generator) + 6 characters of base62 that
//! carry the CRC-32 of all before them. The checksum tells mistyped and invented keys apart from issued ones without a
//! look-up; it adds no secrecy.

use aws_lc_rs::{digest, rand};
use secrecy::SecretString;

use crate::model::{KeyHash, KeyMode};

/// What keys begin with, by what they are for.
const PREFIXES: [(KeyMode, &str); 2] = [(KeyMode::Live, "gh_live_"), (KeyMode::Test, "gh_test_")];
const PREFIX_CHARS: usize = 8;
pub(super) const RANDOM_CHARS: usize = 43;
pub(super) const CHECKSUM_CHARS: usize = 6;
/// How much of a key is shown in lists.
const SHOWN_CHARS: usize = PREFIX_CHARS + 4;
/// And of its end.
const LAST_CHARS: usize = 4;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new key, before its secret is forgotten.
pub struct IssuedKey {
    /// Shown once.
    pub secret: SecretString,
    /// To recognise it by.
    pub prefix: String,
    /// The same of its end.
    pub last_four: String,
    /// What is stored.
    pub hash: KeyHash,
}

/// Draws a new key: `gh_live_` or `gh_test_` + 43 base62 characters (256 bits) + 6 of checksum.
pub fn new_key(mode: KeyMode) -> IssuedKey {
    let mut text = String::with_capacity(PREFIX_CHARS + RANDOM_CHARS + CHECKSUM_CHARS);
    text.extend(PREFIXES.iter().filter(|(of, _)| *of == mode).map(|(_, prefix)| *prefix));
    push_random(&mut text);
    let checksum = checksum(&text);
    text.push_str(&checksum);
    let prefix = text.chars().take(SHOWN_CHARS).collect();
    let last_four = text.chars().skip(text.len() - LAST_CHARS).collect();
    let hash = hash_of(&text);
    IssuedKey { secret: SecretString::from(text), prefix, last_four, hash }
}

/// True for what claims to be a gatehouse key, right or wrong.
pub fn is_gatehouse_key(text: &str) -> bool {
    text.starts_with("gh_")
}

/// The hash to look up; `None` where form or checksum say that it was never issued.
pub fn key_hash(text: &str) -> Option<KeyHash> {
    let rest = PREFIXES.iter().find_map(|(_, prefix)| text.strip_prefix(prefix))?;
    if rest.len() != RANDOM_CHARS + CHECKSUM_CHARS || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let (signed, given) = text.split_at(PREFIX_CHARS + RANDOM_CHARS);
    (checksum(signed) == given).then(|| hash_of(text))
}

/// Appends characters drawn without bias: bytes of 248 and above are drawn again, because 248 is 4 × 62.
pub(super) fn push_random(text: &mut String) {
    let mut missing = RANDOM_CHARS;
    while missing > 0 {
        let mut drawn = [0_u8; 64];
        // A machine without a random generator must not issue keys; the API's panic handler turns this into a 500.
        #[allow(clippy::expect_used)]
        rand::fill(&mut drawn).expect("the system's random generator works");
        for byte in drawn.into_iter().filter(|byte| *byte < 248).take(missing) {
            text.push(char::from(BASE62[usize::from(byte % 62)]));
            missing -= 1;
        }
    }
}

pub(super) fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut chars = ['0'; CHECKSUM_CHARS];
    for place in chars.iter_mut().rev() {
        *place = char::from(BASE62[(rest % 62) as usize]);
        rest /= 62;
    }
    chars.iter().collect()
}

fn hash_of(text: &str) -> KeyHash {
    let mut hash = KeyHash::default();
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use secrecy::ExposeSecret;
    use std::collections::HashSet;

    #[test]
    fn issued_keys_are_recognised_by_form_and_checksum_and_hash_to_what_is_stored() {
        for (mode, prefix) in PREFIXES {
            let issued = new_key(mode);
            let text = issued.secret.expose_secret();
            assert_eq!(text.len(), 57);
            assert!(is_gatehouse_key(text) && text.starts_with(prefix));
            assert!(text.starts_with(&issued.prefix) && text.ends_with(&issued.last_four));
            assert_eq!(key_hash(text), Some(issued.hash));
        }
    }

    #[test]
    fn any_single_changed_character_is_noticed_without_a_look_up() {
        let issued = new_key(KeyMode::Live);
        let text = issued.secret.expose_secret();
        for at in PREFIX_CHARS..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[at] = if changed[at] == b'a' { b'b' } else { b'a' };
            assert_eq!(key_hash(std::str::from_utf8(&changed).unwrap()), None, "{at}");
        }
        for wrong in ["", "gh_", "gh_live_", &text[..56], &format!("{text}a"), &text.replace("live", "test"), "sk_live_1"] {
            assert_eq!(key_hash(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_character_of_the_alphabet_is_drawn_and_no_key_twice() {
        let keys: Vec<_> = (0..200).map(|_| new_key(KeyMode::Live)).collect();
        let drawn: HashSet<char> = keys.iter().flat_map(|key| key.secret.expose_secret()[8..51].chars().collect::<Vec<_>>()).collect();
        let hashes: HashSet<_> = keys.iter().map(|key| key.hash).collect();
        assert_eq!((drawn.len(), hashes.len()), (62, 200));
    }
}
