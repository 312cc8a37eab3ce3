//! Identifiers: a readable prefix and a UUID of version 7 (RFC 9562), so that ids sort by the time they were made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{NoContext, Timestamp, Uuid};

use super::Millis;

/// The text is not an identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of the form `{prefix}<32 hex digits>`")]
pub struct IdError {
    text: String,
    prefix: &'static str,
}

macro_rules! identifier {
    ($name:ident, $prefix:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id; ids made later sort after ids made earlier.
            pub fn new(now: Millis) -> Self {
                let millis = now.0.max(0) as u64;
                let nanos = (millis % 1000) as u32 * 1_000_000;
                Self(Uuid::new_v7(Timestamp::from_unix(NoContext, millis / 1000, nanos)))
            }

            /// The id whose 16 bytes these are.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes behind the text.
            pub const fn to_bytes(self) -> [u8; 16] {
                *self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let wrong = || IdError { text: text.chars().take(80).collect(), prefix: $prefix };
                let hex = text.strip_prefix($prefix).filter(|hex| hex.len() == 32).ok_or_else(wrong)?;
                Uuid::try_parse(hex).map(Self).map_err(|_| wrong())
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

identifier!(TenantId, "tenant_", "Names a tenant for ever; never used again after it is deleted.");
identifier!(KeyId, "key_", "Names an API key in lists and in the audit log; it is not the secret.");
identifier!(AuditId, "aud_", "Names one row of the audit log.");
identifier!(EventId, "evt_", "Names an event that the operator's systems are told; the `webhook-id` of every attempt.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_sort_by_time() {
        let early = TenantId::new(Millis(1_700_000_000_000));
        let late = TenantId::new(Millis(1_700_000_000_001));
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(early.to_string().parse(), Ok(early));
        assert!("tenant_123".parse::<TenantId>().is_err());
        assert!(late.to_string().replace("tenant_", "key_").parse::<TenantId>().is_err());
    }
}
