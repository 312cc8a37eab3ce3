//! A page: a run of neighbouring slots as the store keeps them while their day goes on.
//!
//! Most of what a fold costs is the number of entries that it writes, so that 32 slots are one. A page is replaced as a whole;
//! when a segment's days are over its slots become rows, and its pages go.

use crate::model::{Day, TenantId, Totals};
use crate::store::{Key, StoreError, Table, UsageRow};

/// Slots of a page: with the longest numbers they still fit into one entry of the store.
pub(in crate::metering) const SLOTS: usize = 32;

/// A page that is to be stored.
pub(in crate::metering) struct Page {
    /// Of the journal.
    pub(super) incarnation: u64,
    /// Of its segment.
    pub(super) sequence: u32,
    /// Within its segment.
    pub(super) number: usize,
    /// All its slots, with the indices of their cells.
    pub(super) rows: Vec<(usize, UsageRow)>,
}

impl Page {
    /// All its slots, with the indices of their cells.
    pub(in crate::metering) fn rows(&self) -> &[(usize, UsageRow)] {
        &self.rows
    }

    /// Its record in the store.
    pub(in crate::metering) fn record(&self) -> (Key, Vec<u8>) {
        let mut bytes = Vec::with_capacity(self.rows.len() * 40);
        for (_, row) in &self.rows {
            bytes.extend(row.tenant.to_bytes());
            bytes.extend(row.day.0.to_le_bytes());
            counters(&row.totals).into_iter().for_each(|counter| put(&mut bytes, counter));
        }
        (key(self.incarnation, self.sequence, self.number), bytes)
    }
}

/// Where a page is stored.
pub(super) fn key(incarnation: u64, sequence: u32, number: usize) -> Key {
    Key::new(Table::UsagePages, format!("{incarnation:016x}/{sequence:08x}/{number:04x}"))
}

/// The rows of a stored page, as of its last fold: what was in flight then is in none of the other counters.
pub(in crate::metering) fn decode(key: &Key, bytes: &[u8]) -> Result<Vec<UsageRow>, StoreError> {
    let damaged = || StoreError::Damaged(format!("the page {} of the usage journal cannot be read; restore it from a backup", key.id));
    let writer = key.id.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or_else(damaged)?;
    let (mut rest, mut rows) = (bytes, Vec::new());
    while !rest.is_empty() {
        rows.push(row(writer, &mut rest).ok_or_else(damaged)?);
    }
    Ok(rows)
}

fn row(writer: u64, rest: &mut &[u8]) -> Option<UsageRow> {
    let (tenant, after) = rest.split_first_chunk()?;
    let (day, after) = after.split_first_chunk()?;
    *rest = after;
    let mut next = || take(rest);
    let totals = Totals {
        admitted: next()?,
        metered: next()?,
        given_back: next()?,
        aborted: 0,
        egress: next()?,
        ingress: next()?,
        rejected: next()?,
        calls_over: next()?,
        egress_over: next()?,
    };
    Some(UsageRow { writer, tenant: TenantId::from_bytes(*tenant), day: Day(i32::from_le_bytes(*day)), totals })
}

const fn counters(totals: &Totals) -> [u64; 8] {
    let Totals { admitted, metered, given_back, aborted: _, egress, ingress, rejected, calls_over, egress_over } = *totals;
    [admitted, metered, given_back, egress, ingress, rejected, calls_over, egress_over]
}

/// Writes a number in groups of seven bits, the lowest first (LEB128).
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_page_reads_back_and_fits_into_one_entry(
            counters in prop::collection::vec((any::<[u8; 16]>(), any::<i32>(), any::<[u64; 8]>()), 1..=SLOTS),
        ) {
            let rows = counters.into_iter().enumerate().map(|(index, (tenant, day, counters))| {
                let [admitted, metered, given_back, egress, ingress, rejected, calls_over, egress_over] = counters;
                let totals = Totals { admitted, metered, given_back, aborted: 0, egress, ingress, rejected, calls_over, egress_over };
                (index, UsageRow { writer: 7 << 40, tenant: TenantId::from_bytes(tenant), day: Day(day), totals })
            });
            let page = Page { incarnation: 7 << 40, sequence: 3, number: 9, rows: rows.collect() };
            let (key, bytes) = page.record();
            prop_assert!(bytes.len() <= 3_900);
            prop_assert_eq!(decode(&key, &bytes).unwrap(), page.rows.iter().map(|(_, row)| *row).collect::<Vec<_>>());
            prop_assert!(decode(&key, &bytes[..bytes.len() - 1]).is_err());
        }
    }
}
