//! The id of a request: 32 hexadecimal digits, a UUID of version 7 without hyphens, so that ids sort by time.

use crate::model::Millis;

/// `X-Request-Id`.
#[derive(Debug, Clone, Copy)]
pub struct RequestId([u8; 32]);

impl RequestId {
    /// A new id. It need not be secret, so its random part comes from a fast generator.
    pub fn at(time: Millis) -> Self {
        let millis = u64::try_from(time.0).unwrap_or(0);
        let random = fastrand::u128(..).to_be_bytes();
        let mut bytes = [0_u8; 10];
        bytes.copy_from_slice(&random[..10]);
        let uuid = uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid();
        let mut text = [0_u8; 32];
        uuid.simple().encode_lower(&mut text);
        Self(text)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        // Hexadecimal digits are ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}
