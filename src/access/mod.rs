//! Access: API keys. A key is recognised by its form, checked by its checksum, and stored as a hash only.

mod api_key;

pub use api_key::{IssuedKey, is_gatehouse_key, key_hash, new_key};
