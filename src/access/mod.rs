//! Access: what tells who is asking, and which rules hold for what is asked. API keys are recognised by their form, checked by
//! their checksum, and stored as hashes; tokens are verified with the keys that their issuers publish.

mod api_key;
mod cache;
mod claims;
mod context;
mod fetch;
mod forwarded;
mod issuers;
mod key_set;
mod keyring;
mod lockout;
mod operator_token;
mod path;
mod routes;
#[cfg(test)]
mod tests;
mod token;

pub use api_key::{IssuedKey, is_gatehouse_key, key_hash, new_key};
pub use cache::{TokenCache, cache_key};
pub use context::{Context, ContextKey, ContextKeyError, ContextSigner, LEAD};
pub use fetch::{Fetched, Fetcher};
pub use forwarded::is_forwarded;
pub use issuers::{Issuers, UnusableKeys};
pub use key_set::{KeySet, KeySetError};
pub use keyring::{Keyring, Rhythm};
pub use lockout::Lockout;
pub use operator_token::{IssuedToken, new_token, token_hash};
pub use path::readings;
pub use routes::{Miss, first_match, miss, policies};
pub use token::{Identity, TokenFault, Unverified, Verifier};
