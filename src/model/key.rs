//! API keys as they are stored: never the secret, only its hash.

use serde::{Deserialize, Serialize};

use super::{KeyId, Millis, TenantId};

/// SHA-256 of a key's whole text.
pub type KeyHash = [u8; 32];

/// One API key of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// Its name in lists and in the audit log.
    pub id: KeyId,
    /// The tenant it belongs to.
    pub tenant_id: TenantId,
    /// What its owner calls it.
    pub name: String,
    /// The first characters of the secret, to recognise it by.
    pub prefix: String,
    /// Its last four characters; none of keys that were issued before they were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_four: Option<String>,
    /// Lower-case hexadecimal SHA-256 of the secret.
    pub hash: String,
    /// Roles that a request with this key has.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What the key may be used for; routes ask for it.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Millis,
    /// From when on it is refused.
    #[serde(default)]
    pub expires_at: Option<Millis>,
    /// How long it was to live when it was issued, milliseconds, whatever its end is by now; the one in its place lives as long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<i64>,
    /// The key in whose place it was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_from: Option<KeyId>,
}

/// What a key is for; it shows in its first characters and changes nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyMode {
    /// `gh_live_…`
    #[default]
    Live,
    /// `gh_test_…`
    Test,
}

impl ApiKey {
    /// What it is for.
    pub fn mode(&self) -> KeyMode {
        if self.prefix.starts_with("gh_test_") { KeyMode::Test } else { KeyMode::Live }
    }
}
