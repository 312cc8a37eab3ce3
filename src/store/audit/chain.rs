//! How a row is chained to the one before: the end of the log, and what it makes of the next row.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::{AuditRow, clean};
use crate::model::{AuditId, Millis, TenantId, hex};
use crate::store::{Key, StoreError, Table};

/// What the first row has for `previousHash`.
pub(super) const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Octets that the store adds to a row, or less.
pub(in crate::store) const ADDED: usize = 400;

/// A row that is ready but for its place in the chain.
#[derive(Debug)]
pub(in crate::store) struct Draft {
    time: Millis,
    tenant: Option<TenantId>,
    /// Members of its JSON object, with braces.
    pub text: Vec<u8>,
}

/// The end of the log: a record of the same commit as the newest row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::store) struct Head {
    /// The sequence of the newest row; 0 where there is none.
    pub sequence: u64,
    /// Its hash.
    pub hash: String,
    /// Before the time in the id of the next row nothing may lie, so that ids sort as sequences do.
    pub time: Millis,
}

impl Draft {
    /// Of a row: secrets and what terminals would act on are taken out.
    pub fn of(row: AuditRow) -> Result<Self, StoreError> {
        let (time, tenant) = (row.time, row.tenant_id);
        let text = serde_json::to_vec(&clean::row(row)).map_err(|error| StoreError::Refused(format!("audit row: {error}")))?;
        Ok(Self { time, tenant, text })
    }
}

impl Head {
    /// Where it is stored.
    pub fn key() -> Key {
        Key::new(Table::AuditHead, "head")
    }

    /// Before the first row of the chain, after `oldest_kept`: the newest row of a version without one, if there is any.
    pub fn begin(newest_unchained: Option<&str>) -> Self {
        let time = newest_unchained.and_then(|id| id.parse::<AuditId>().ok()).map_or(Millis(0), |id| Millis(time_of(id).0 + 1));
        Self { sequence: 0, hash: NOTHING.to_owned(), time }
    }

    /// Reads what is stored.
    pub fn read(value: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(value).map_err(|error| StoreError::Damaged(format!("the end of the audit log: {error}")))
    }

    /// Puts a row at the end; what is to be stored, without the head itself.
    pub fn append(&mut self, draft: Draft) -> Vec<(Key, Vec<u8>)> {
        self.sequence += 1;
        self.time = self.time.max(draft.time);
        let id = id_of(self.time, self.sequence);
        let mut text = format!("{{\"id\":\"{id}\",\"sequence\":{},", self.sequence).into_bytes();
        text.extend_from_slice(draft.text.get(1..draft.text.len().saturating_sub(1)).unwrap_or_default());
        text.extend(format!(",\"previousHash\":\"{}\"}}", self.hash).into_bytes());
        self.hash = hex(digest(&SHA256, &text).as_ref());
        text.pop();
        text.extend(format!(",\"hash\":\"{}\"}}", self.hash).into_bytes());
        let mut puts = Vec::with_capacity(2);
        if let Some(tenant) = draft.tenant {
            puts.push((Key::new(Table::AuditByTenant, format!("{tenant}/{id}")), Vec::new()));
        }
        puts.push((Key::new(Table::Audit, id.to_string()), text));
        puts
    }

    /// The head itself, as it is to be stored.
    pub fn put(&self) -> Result<(Key, Vec<u8>), StoreError> {
        let value = serde_json::to_vec(self).map_err(|error| StoreError::Refused(format!("the end of the audit log: {error}")))?;
        Ok((Self::key(), value))
    }
}

/// What the hash of a stored line has to be, and what it is; `None` where the line does not end in one.
pub(super) fn hashes_of(line: &[u8]) -> Option<(String, String)> {
    const MEMBER: &[u8] = b",\"hash\":\"";
    let at = line.len().checked_sub(MEMBER.len() + 64 + 2)?;
    let (text, end) = line.split_at(at);
    let stored = end.strip_prefix(MEMBER)?.strip_suffix(b"\"}")?;
    let computed = hex(digest(&SHA256, &[text, b"}"].concat()).as_ref());
    Some((computed, String::from_utf8(stored.to_vec()).ok()?))
}

/// A UUID of version 7 (RFC 9562) whose random bits are the sequence.
fn id_of(time: Millis, sequence: u64) -> AuditId {
    let mut octets = [0; 16];
    octets[..6].copy_from_slice(&time.0.max(0).to_be_bytes()[2..]);
    octets[6] = 0x70;
    octets[8..].copy_from_slice(&(sequence & (u64::MAX >> 2) | 1 << 63).to_be_bytes());
    AuditId::from_bytes(octets)
}

/// The time in an id.
fn time_of(id: AuditId) -> Millis {
    let [a, b, c, d, e, f, ..] = id.to_bytes();
    Millis(i64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}
