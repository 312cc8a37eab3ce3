//! Tokens that were verified, by the SHA-256 of their text, so that a token costs a signature once. Of one thread, bounded: when
//! it is full, those that nobody has shown for longest are forgotten.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest;

use super::token::{Identity, Verifier};
use crate::model::Millis;

/// SHA-256 of a token's text.
pub type TokenHash = [u8; 32];

/// Verified tokens.
pub struct TokenCache {
    most: usize,
    recent: HashMap<TokenHash, Arc<Identity>>,
    before: HashMap<TokenHash, Arc<Identity>>,
}

impl TokenCache {
    /// For at most twice so many.
    pub fn new(most: usize) -> Self {
        Self { most, recent: HashMap::new(), before: HashMap::new() }
    }

    /// A token that was verified by one of these, and still holds.
    pub fn get(&mut self, token: &TokenHash, by: &[&[Arc<Verifier>]], now: Millis) -> Option<Arc<Identity>> {
        let found = match self.recent.get(token) {
            Some(found) => Arc::clone(found),
            None => {
                let found = self.before.remove(token)?;
                self.put(*token, Arc::clone(&found));
                found
            }
        };
        if !found.holds(now) {
            self.recent.remove(token);
            return None;
        }
        by.iter().copied().flatten().any(|verifier| Arc::ptr_eq(verifier, &found.by)).then_some(found)
    }

    /// Forgets those that do not hold any more.
    pub fn sweep(&mut self, now: Millis) {
        self.recent.retain(|_, identity| identity.holds(now));
        self.before.retain(|_, identity| identity.holds(now));
    }

    /// Keeps one.
    pub fn put(&mut self, token: TokenHash, identity: Arc<Identity>) {
        if self.recent.len() >= self.most {
            self.before = std::mem::take(&mut self.recent);
        }
        self.recent.insert(token, identity);
    }
}

/// Its name in the cache.
pub fn cache_key(token: &str) -> TokenHash {
    let mut hash = TokenHash::default();
    hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    hash
}
