//! Whether the log is whole: every row in its place, none changed, and none missing among the rows of a tenant.

use std::fmt;
use std::str::FromStr;

use super::chain::{Head, NOTHING, hashes_of};
use super::{LoggedRow, row_key};
use crate::store::{Key, Record, Scan, Store, StoreError, Table};

/// Rows read at once.
const PAGE: usize = 500;
/// Of what is wrong, so much is told.
const MOST: usize = 20;

/// A place in the chain: what is kept elsewhere, to see later that the log up to there is still the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The sequence of a row.
    pub sequence: u64,
    /// Its hash, 64 hexadecimal digits.
    pub hash: String,
}

/// A text is no [`Link`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is written as `<sequence>:<hash>`, with the 64 hexadecimal digits of a hash")]
pub struct LinkError;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Rows of the chain.
    pub rows: u64,
    /// Rows before it, of versions without a chain: nothing can be said of them.
    pub unchained: u64,
    /// The end of the log.
    pub head: Link,
    /// What is wrong, the first of it; empty where the log is whole.
    pub problems: Vec<String>,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, self.hash)
    }
}

impl FromStr for Link {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let (sequence, hash) = text.trim().split_once(':').ok_or(LinkError)?;
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let sequence = sequence.parse().ok().filter(|_| is_hash).ok_or(LinkError)?;
        Ok(Self { sequence, hash: hash.to_ascii_lowercase() })
    }
}

/// Walks the whole log as it is now; `kept` is a place that it must still have. What is committed meanwhile is not looked at.
///
/// # Errors
///
/// Those of the store. A log that is not whole is no error, but told of.
pub async fn check_log(store: &dyn Store, kept: Option<&Link>) -> Result<Checked, StoreError> {
    let head = match store.get(&Head::key()).await? {
        Some(record) => Head::read(&record.value)?,
        None => Head::begin(None),
    };
    let mut walk = Walk::to(&head, kept);
    let mut after = None;
    loop {
        let scan = Scan { table: Table::Audit, prefix: String::new(), after, newest_first: false, limit: PAGE };
        let records = store.scan(scan).await?;
        let (names, kept): (Vec<Key>, Vec<Option<Vec<u8>>>) = walk.take(&records).into_iter().unzip();
        for ((name, kept), found) in names.iter().zip(kept).zip(store.get_all(&names).await?) {
            let id = row_key(&name.id).id;
            match found {
                None => walk.tell(format!("{id} is not among the rows of its tenant")),
                // What is there would be shown instead of the row.
                Some(entry) if !entry.value.is_empty() && kept.as_ref() != Some(&entry.value) => {
                    walk.tell(format!("{id} is another among the rows of its tenant"));
                }
                Some(_) => {}
            }
        }
        if records.len() < PAGE || walk.is_over {
            break;
        }
        after = records.last().map(|record| record.key.id.clone());
    }
    walk.end(&head);
    if let Some(beyond) = walk.beyond {
        // What was committed meanwhile has moved the head as well.
        let now = store.get(&Head::key()).await?.map(|record| Head::read(&record.value)).transpose()?;
        if now.is_none_or(|now| now.sequence < beyond) {
            walk.tell(format!("there is a row {beyond}, but the head of the log does not know of it"));
        }
    }
    let surplus = count_by_tenant(store, walk.last.as_deref()).await?.saturating_sub(walk.of_tenants);
    if surplus > 0 {
        walk.tell(format!("{surplus} entries of tenants belong to no row"));
    }
    Ok(walk.found)
}

/// Entries by tenant, up to the row where the walk ended.
async fn count_by_tenant(store: &dyn Store, last: Option<&str>) -> Result<u64, StoreError> {
    let (mut count, mut after) = (0, None);
    loop {
        let scan = Scan { table: Table::AuditByTenant, prefix: String::new(), after, newest_first: false, limit: PAGE };
        let records = store.scan(scan).await?;
        count += records.iter().filter(|record| Some(&*row_key(&record.key.id).id) <= last).count() as u64;
        if records.len() < PAGE {
            return Ok(count);
        }
        after = records.last().map(|record| record.key.id.clone());
    }
}

/// A walk from the oldest row to the newest.
struct Walk<'a> {
    found: Checked,
    kept: Option<&'a Link>,
    is_kept: bool,
    to: u64,
    /// It has come to the end.
    is_over: bool,
    /// The row behind that, where there is one.
    beyond: Option<u64>,
    /// The hash of the row before.
    before: String,
    /// The id of the row before.
    last: Option<String>,
    /// Rows that are of a tenant.
    of_tenants: u64,
}

impl<'a> Walk<'a> {
    fn to(head: &Head, kept: Option<&'a Link>) -> Self {
        let link = Link { sequence: head.sequence, hash: head.hash.clone() };
        let found = Checked { rows: 0, unchained: 0, head: link, problems: Vec::new() };
        let is_kept = kept.is_some_and(|kept| kept.sequence == 0 && kept.hash == NOTHING);
        Self {
            found,
            kept,
            is_kept,
            to: head.sequence,
            is_over: false,
            beyond: None,
            before: NOTHING.to_owned(),
            last: None,
            of_tenants: 0,
        }
    }

    /// Goes over a page; the names that its rows must have among those of their tenants, and what may be kept there: of a row without a
    /// place in the chain the row itself, of others nothing.
    fn take(&mut self, records: &[Record]) -> Vec<(Key, Option<Vec<u8>>)> {
        let mut names = Vec::new();
        for record in records {
            let row = match LoggedRow::read(record) {
                Ok(row) => row,
                Err(error) => {
                    self.tell(error.to_string());
                    continue;
                }
            };
            if let Some(sequence) = row.sequence.filter(|sequence| *sequence > self.to) {
                (self.is_over, self.beyond) = (true, Some(sequence));
                return names;
            }
            self.look(record, &row);
            self.last = Some(record.key.id.clone());
            if let Some(tenant) = row.row.tenant_id {
                self.of_tenants += 1;
                let kept = row.sequence.is_none().then(|| record.value.clone());
                names.push((Key::new(Table::AuditByTenant, format!("{tenant}/{}", record.key.id)), kept));
            }
        }
        names
    }

    fn look(&mut self, record: &Record, row: &LoggedRow) {
        let id = &record.key.id;
        if row.id.to_string() != *id {
            self.tell(format!("{id} is stored under another id than its own"));
        }
        let Some(sequence) = row.sequence else {
            self.found.unchained += 1;
            if self.found.rows > 0 {
                self.tell(format!("{id} has no place in the chain"));
            }
            return;
        };
        let expected = self.found.rows + 1;
        if sequence != expected {
            self.tell(format!("row {expected} is missing: {id} is row {sequence}"));
        }
        self.found.rows = sequence;
        match hashes_of(&record.value) {
            Some((computed, stored)) if computed == stored => {
                if row.previous_hash.as_ref() != Some(&self.before) && sequence == expected {
                    self.tell(format!("row {sequence} ({id}) does not follow the one before it"));
                }
                self.before = stored;
            }
            found => {
                self.tell(format!("row {sequence} ({id}) was changed"));
                self.before = found.map(|(_, stored)| stored).unwrap_or_default();
            }
        }
        self.is_kept |= self.kept.is_some_and(|kept| kept.sequence == sequence && kept.hash == self.before);
    }

    fn end(&mut self, head: &Head) {
        if self.found.rows != head.sequence || self.before != head.hash {
            self.tell(format!("the log ends with row {}, not with row {} as its head says", self.found.rows, head.sequence));
        }
        if let Some(kept) = self.kept.filter(|_| !self.is_kept) {
            self.tell(format!("row {} is not there as it was when its hash was kept", kept.sequence));
        }
    }

    fn tell(&mut self, problem: String) {
        if self.found.problems.len() < MOST {
            self.found.problems.push(problem);
        }
    }
}
