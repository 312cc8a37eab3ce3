//! Access: what tells who is asking. API keys are recognised by their form, checked by their checksum, and stored as hashes.

mod api_key;
mod forwarded;
mod lockout;
mod operator_token;

pub use api_key::{IssuedKey, is_gatehouse_key, key_hash, new_key};
pub use forwarded::is_forwarded;
pub use lockout::Lockout;
pub use operator_token::{IssuedToken, new_token, token_hash};
