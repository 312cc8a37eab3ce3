//! The audit log: rows that share the commit of what they tell, each chained to the one before.
//!
//! A row is stored as one line of JSON. Its members `sequence` (from 1, without gaps) and `previousHash` (that of the row before; 64
//! zeros for the first) come from the store, which alone knows what is next; its last member is `hash`: the SHA-256, in hexadecimal, of
//! the line as it is without that member. So whoever has the lines can recompute the chain, and whoever has kept a sequence and its
//! hash notices when anything up to there is changed, left out or put in. Ids of rows sort as their sequence does. Rows of versions
//! without a chain stay as they were; they sort before its first row.

mod chain;
mod clean;
mod verify;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) use self::chain::{ADDED, Draft, Head};
pub use self::verify::{Checked, Link, LinkError, check_log};
use super::{Key, Record, Store, StoreError, Table};
use crate::model::{AuditId, Millis, TenantId};

/// What is to be told of an operation; the store makes a [`LoggedRow`] of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    /// When.
    pub time: Millis,
    /// Who: the name of an operator, `admin`, `loopback`, `system`, …
    pub actor: String,
    /// From which address, where somebody asked over a network.
    #[serde(default)]
    pub source: Option<String>,
    /// What, such as `tenant.created`.
    pub action: String,
    /// To whom.
    pub tenant_id: Option<TenantId>,
    /// What it was, where that helps.
    pub before: Option<Value>,
    /// What it became.
    pub after: Option<Value>,
    /// The request that did it.
    pub request_id: Option<String>,
    /// Why, where whoever did it has said so.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A row as it is in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedRow {
    /// Sorts as rows were committed.
    pub id: AuditId,
    /// Its place in the chain; none in rows of versions without one.
    #[serde(default)]
    pub sequence: Option<u64>,
    /// What it tells. No secret is in it, and no character that a terminal would act on.
    #[serde(flatten)]
    pub row: AuditRow,
    /// The hash of the row before.
    #[serde(default)]
    pub previous_hash: Option<String>,
    /// Its own hash.
    #[serde(default)]
    pub hash: Option<String>,
}

impl LoggedRow {
    /// Reads what is stored.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] where it is no row.
    pub fn read(record: &Record) -> Result<Self, StoreError> {
        let damaged = |error: serde_json::Error| StoreError::Damaged(format!("audit row {}: {error}", record.key.id));
        serde_json::from_slice(&record.value).map_err(damaged)
    }
}

/// The rows that a page of [`Table::AuditByTenant`] names. Versions without a chain kept the row itself there.
///
/// # Errors
///
/// Those of the store; [`StoreError::Damaged`] where a row is missing.
pub async fn rows_of(store: &dyn Store, mut names: Vec<Record>) -> Result<Vec<Record>, StoreError> {
    let keys: Vec<Key> = names.iter().filter(|name| name.value.is_empty()).map(|name| row_key(&name.key.id)).collect();
    let mut found = store.get_all(&keys).await?.into_iter();
    for name in names.iter_mut().filter(|name| name.value.is_empty()) {
        let missing = || StoreError::Damaged(format!("the audit log has no row for {}", name.key.id));
        name.value = found.next().flatten().ok_or_else(missing)?.value;
    }
    Ok(names)
}

/// The row that an id of [`Table::AuditByTenant`] stands for.
fn row_key(name: &str) -> Key {
    Key::new(Table::Audit, name.rsplit_once('/').map_or(name, |(_, id)| id))
}
