//! Identifiers: a readable prefix and a UUID of version 7 (RFC 9562), so that ids sort by the time they were made.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use super::Millis;

/// The text is not an identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of the form `{prefix}<32 hex digits>`")]
pub struct IdError {
    text: String,
    prefix: &'static str,
}

/// Ids that this process has made.
static MADE: AtomicU32 = AtomicU32::new(0);

/// What follows the time in an id: a counter of 26 bits, so that ids of one millisecond sort as they were made (RFC 9562, section
/// 6.2), and chance.
fn rest() -> [u8; 10] {
    let count = MADE.fetch_add(1, Ordering::Relaxed);
    let [chance @ .., _, _] = fastrand::u64(..).to_be_bytes();
    let mut bytes = [0; 10];
    // The upper bits of the first and the third octet become version and variant.
    let counted = [(count >> 22) as u8 & 0x0f, (count >> 14) as u8, (count >> 8) as u8 & 0x3f, count as u8];
    bytes[..4].copy_from_slice(&counted);
    bytes[4..].copy_from_slice(&chance);
    bytes
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
                Self(Builder::from_unix_timestamp_millis(now.0.max(0) as u64, &rest()).into_uuid())
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
identifier!(InvoiceId, "inv_", "Names an invoice for ever; its number is for people.");
identifier!(CreditNoteId, "cn_", "Names a credit note for ever; its number is for people.");
identifier!(AuditId, "aud_", "Names one row of the audit log.");
identifier!(OperatorId, "op_", "Names an operator of the admin API in lists; in the audit log it has a name of its own.");
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
        let same: Vec<AuditId> = (0..1_000).map(|_| AuditId::new(Millis(1_700_000_000_000))).collect();
        assert!(same.is_sorted() && same.iter().collect::<std::collections::HashSet<_>>().len() == 1_000);
        assert!("tenant_123".parse::<TenantId>().is_err());
        assert!(late.to_string().replace("tenant_", "key_").parse::<TenantId>().is_err());
    }
}
