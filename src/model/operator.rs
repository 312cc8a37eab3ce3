//! Operators: who may use the admin API by a token of their own, as they are stored. The secret is not, only its hash.

use serde::{Deserialize, Serialize};

use super::{Millis, OperatorId};

/// What an operator may do; every role may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything.
    Owner,
    /// Looks after tenants: names, configuration, features, domains, keys, suspending and activating.
    Support,
    /// Looks after money: subscriptions, the catalogue, invoices, payment methods.
    Billing,
    /// Reads.
    ReadOnly,
}

/// One operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operator {
    /// Its name in lists.
    pub id: OperatorId,
    /// Its name in the audit log; no two operators have the same.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The first characters of the token, to recognise it by.
    pub prefix: String,
    /// The last characters of the token.
    pub last_four: String,
    /// Lower-case hexadecimal SHA-256 of the token.
    pub hash: String,
    /// When it was made.
    pub created_at: Millis,
    /// From when on it is refused.
    #[serde(default)]
    pub expires_at: Option<Millis>,
    /// When it was last used; up to a minute more may not be written yet.
    #[serde(default)]
    pub last_used_at: Option<Millis>,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Support, Self::Billing, Self::ReadOnly];

    /// As it is written in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Support => "support",
            Self::Billing => "billing",
            Self::ReadOnly => "read-only",
        }
    }
}

impl Operator {
    /// Whether its token is taken at this time.
    pub fn is_live(&self, now: Millis) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }
}
