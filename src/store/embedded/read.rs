//! The reads: each sees whole commits only, because the caller holds the writer back while it runs.

use std::ops::{Bound, Range};

use super::entries::{Entries, Span};
use crate::model::{Day, TenantId};
use crate::store::codec::{self, space};
use crate::store::rules::{whole_commits, whole_tenants};
use crate::store::{Changed, Record, SCHEMA, Scan, Snapshot, StoreError, UsageRow, Version};

/// So many rows of earlier days are read over before it pays to look for the first that is wanted.
const OLDER: usize = 32;

/// A page of a table.
pub(super) fn scan(entries: &Entries, scan: &Scan) -> Result<Vec<Record>, StoreError> {
    let Some(span) = span_of(scan) else { return Ok(Vec::new()) };
    let page = entries.range(span, scan.newest_first).take(scan.limit);
    page.map(|entry| {
        let (key, head) = entry?;
        let name = entries.legible(codec::head_of(&key), &key)?;
        entries.assemble(name, &head)
    })
    .collect()
}

/// The keys that a page may have; `None` where there cannot be any.
fn span_of(scan: &Scan) -> Option<Span> {
    let first = codec::head_key(scan.table, &scan.prefix);
    let mut end = first.clone();
    // The last byte is that of a table or of UTF-8, so that there is always a byte above it.
    *end.last_mut()? += 1;
    let (mut from, mut to) = (Bound::Included(first), Bound::Excluded(end));
    if let Some(after) = &scan.after {
        let beyond = codec::head_key(scan.table, after);
        match (&from, &to) {
            (Bound::Included(first), _) if !scan.newest_first && beyond >= *first => from = Bound::Excluded(beyond),
            (_, Bound::Excluded(end)) if scan.newest_first && beyond < *end => to = Bound::Excluded(beyond),
            _ => {}
        }
    }
    let low = match &from {
        Bound::Included(key) | Bound::Excluded(key) => key,
        Bound::Unbounded => return Some((from, to)),
    };
    let possible = !matches!(&to, Bound::Excluded(end) if end <= low);
    possible.then_some((from, to))
}

/// The rows of one tenant.
pub(super) fn usage(entries: &Entries, tenant: TenantId, days: &Range<Day>) -> Result<Vec<UsageRow>, StoreError> {
    if days.is_empty() {
        return Ok(Vec::new());
    }
    let [from, to] = [days.start, days.end].map(|day| codec::usage_key(tenant, day, 0));
    let rows = entries.range((Bound::Included(from), Bound::Excluded(to)), false);
    rows.map(|entry| usage_row(entries, entry?)).collect()
}

/// The rows of all tenants after `after` from `from` on: whole tenants, as many as fit into `limit`, but at least one.
pub(super) fn usage_since(entries: &Entries, from: Day, after: Option<TenantId>, limit: usize) -> Result<Vec<UsageRow>, StoreError> {
    let mut found: Vec<UsageRow> = Vec::new();
    let end = Bound::Excluded(vec![space::USAGE + 1]);
    // No row has a key beyond this of its tenant.
    let first = after.map_or_else(|| vec![space::USAGE], |after| codec::usage_key(after, Day(i32::MAX), u64::MAX));
    let mut walk = entries.range((Bound::Excluded(first), end.clone()), false);
    let mut older = 0;
    while let Some(entry) = walk.next() {
        let row = usage_row(entries, entry?)?;
        if row.day < from {
            older += 1;
            if older == OLDER {
                older = 0;
                walk = entries.range((Bound::Included(codec::usage_key(row.tenant, from, 0)), end.clone()), false);
            }
            continue;
        }
        older = 0;
        found.push(row);
        // One more than the limit is enough to know where the last tenant that fits ends.
        let whole = found.first().map(|row| row.tenant) != Some(row.tenant);
        if found.len() > limit && whole {
            break;
        }
    }
    whole_tenants(&mut found, limit);
    Ok(found)
}

/// What changed after `since`: whole commits, as many as fit into `limit`, but at least one.
pub(super) fn changes(entries: &Entries, since: Version, limit: usize) -> Result<Vec<Changed>, StoreError> {
    let mut found: Vec<Changed> = Vec::new();
    let Some(next) = since.0.checked_add(1) else { return Ok(found) };
    let span = (Bound::Included(codec::change_key(next, 0)), Bound::Excluded(vec![space::CHANGE + 1]));
    for entry in entries.range(span, false) {
        let (key, payload) = entry?;
        found.push(entries.legible(codec::change_of(&key, &payload), &key)?);
        // One more than the limit is enough to know where the last commit that fits ends.
        let whole = found.first().map(|change| change.version) != found.last().map(|change| change.version);
        if found.len() > limit && whole {
            break;
        }
    }
    whole_commits(&mut found, limit);
    Ok(found)
}

/// Everything.
pub(super) fn export(entries: &Entries) -> Result<Snapshot, StoreError> {
    let mut snapshot = Snapshot { schema: SCHEMA, ..Snapshot::default() };
    for entry in entries.space(space::HEAD) {
        let (key, head) = entry?;
        let name = entries.legible(codec::head_of(&key), &key)?;
        snapshot.records.push(entries.assemble(name, &head)?);
    }
    for entry in entries.space(space::USAGE) {
        snapshot.usage.push(usage_row(entries, entry?)?);
    }
    for entry in entries.space(space::NUMBER) {
        let (key, payload) = entry?;
        let name = entries.legible(key.get(1..).and_then(|name| std::str::from_utf8(name).ok()), &key)?;
        let number = entries.legible(codec::number_of(&payload), &key)?;
        snapshot.numbers.push((name.to_owned(), number));
    }
    Ok(snapshot)
}

fn usage_row(entries: &Entries, (key, payload): (Vec<u8>, Vec<u8>)) -> Result<UsageRow, StoreError> {
    entries.legible(codec::usage_of(&key, &payload), &key)
}
