//! How the embedded store lays things out as bytes: keys that sort as their things do, values that carry a checksum.
//!
//! A key begins with its [`space`]; numbers in keys are big-endian, so that bytes sort as numbers. A value is a CRC-32 over
//! key and payload, then the payload (numbers little-endian): a flipped bit, or a value under a wrong key, is an error and
//! never another value. A record longer than [`PART`] is a head, which names the version, and parts beside it: sled splits
//! its pages by the number of entries, so that long entries would leave its log for files that it never syncs.

use crate::model::{Day, TenantId, Totals};
use crate::store::{Changed, Key, Table, UsageRow, Version};

/// The most payload bytes of one part of a record; with its key and header an entry stays below 4 KiB + key.
pub(super) const PART: usize = 3_900;

/// The first byte of a key: what kind of thing it names.
pub(super) mod space {
    pub const STATE: u8 = 0;
    pub const HEAD: u8 = 1;
    pub const PART: u8 = 2;
    pub const USAGE: u8 = 3;
    pub const NUMBER: u8 = 4;
    pub const LEASE: u8 = 5;
    pub const CHANGE: u8 = 6;
}

/// The key of the one [`State`].
pub(super) const STATE_KEY: &[u8] = &[space::STATE];

/// An entry does not say what this version writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an entry in space {0} does not match its checksum or layout")]
pub(super) struct BadEntry(u8);

impl BadEntry {
    pub(super) fn at(key: &[u8]) -> Self {
        Self(key.first().copied().unwrap_or(u8::MAX))
    }
}

/// What is true of the database as a whole; written with every group of commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct State {
    /// Layout of everything else.
    pub schema: u32,
    /// Counts groups of commits that were written together.
    pub group: u64,
    /// The newest commit.
    pub version: u64,
    /// Sum of [`fingerprint`] over every entry but this one.
    pub digest: u128,
    /// An import has begun and not ended.
    pub importing: bool,
}

impl State {
    /// Its payload.
    pub(super) fn encode(self) -> Vec<u8> {
        let mut bytes = self.schema.to_le_bytes().to_vec();
        bytes.extend(self.group.to_le_bytes());
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.digest.to_le_bytes());
        bytes.push(u8::from(self.importing));
        bytes
    }

    /// Reads a payload. Later schemas may append fields, so that an older version can still tell which schema it meets.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        let state = Self {
            schema: u32::from_le_bytes(fields.array()?),
            group: u64::from_le_bytes(fields.array()?),
            version: u64::from_le_bytes(fields.array()?),
            digest: u128::from_le_bytes(fields.array()?),
            importing: fields.array::<1>()? != [0],
        };
        Some(state)
    }
}

/// The beginning of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    /// The commit that wrote it.
    pub version: u64,
    /// How many bytes the whole value has.
    pub len: u32,
    /// The first [`PART`] bytes.
    pub first: &'a [u8],
}

impl<'a> Head<'a> {
    /// The payload of a head for `value`.
    pub(super) fn encode(version: u64, value: &[u8]) -> Vec<u8> {
        let mut bytes = version.to_le_bytes().to_vec();
        // A value is at most 1 MiB.
        bytes.extend((value.len() as u32).to_le_bytes());
        bytes.extend(value.get(..PART).unwrap_or(value));
        bytes
    }

    /// Reads a payload.
    pub(super) fn decode(payload: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        let version = u64::from_le_bytes(fields.array()?);
        let len = u32::from_le_bytes(fields.array()?);
        let head = Self { version, len, first: fields.0 };
        (head.first.len() == PART.min(len as usize)).then_some(head)
    }

    /// How many parts lie beside it.
    pub(super) fn parts(&self) -> u16 {
        parts_of(self.len as usize)
    }
}

/// How many parts lie beside the head of a value of `len` bytes.
pub(super) fn parts_of(len: usize) -> u16 {
    // At most 269 for 1 MiB.
    len.div_ceil(PART).saturating_sub(1) as u16
}

/// A value with its checksum.
pub(super) fn seal(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = checksum(key, payload).to_le_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

/// The payload of a value whose checksum holds.
pub(super) fn unseal<'a>(key: &[u8], bytes: &'a [u8]) -> Result<&'a [u8], BadEntry> {
    let mut fields = Fields(bytes);
    let sum = fields.array().map(u32::from_le_bytes).ok_or_else(|| BadEntry::at(key))?;
    if sum == checksum(key, fields.0) { Ok(fields.0) } else { Err(BadEntry::at(key)) }
}

fn checksum(key: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&(key.len() as u32).to_le_bytes());
    hasher.update(key);
    hasher.update(payload);
    hasher.finalize()
}

/// A number that stands for one entry; their sum stands for all, whatever the order, and can be kept up by differences.
pub(super) fn fingerprint(key: &[u8], value: &[u8]) -> u128 {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(&(key.len() as u32).to_le_bytes());
    context.update(key);
    context.update(value);
    let digest = context.finish();
    Fields(digest.as_ref()).array().map(u128::from_le_bytes).unwrap_or_default()
}

/// The key of a record's head; `id` may also be the beginning of ids.
pub(super) fn head_key(table: Table, id: &str) -> Vec<u8> {
    [&[space::HEAD, table_code(table)], id.as_bytes()].concat()
}

/// Reads the key of a head.
pub(super) fn head_of(key: &[u8]) -> Option<Key> {
    let [space::HEAD, table, id @ ..] = key else { return None };
    Some(Key { table: table_of(*table)?, id: std::str::from_utf8(id).ok()?.to_owned() })
}

/// The key of the part `number` (from 1) of a record. Ids have no NUL, so that no id's parts lie among another's.
pub(super) fn part_key(key: &Key, number: u16) -> Vec<u8> {
    [&[space::PART, table_code(key.table)], key.id.as_bytes(), &[0], &number.to_be_bytes()].concat()
}

/// The key of a usage row: by tenant, then day, then writer.
pub(super) fn usage_key(tenant: TenantId, day: Day, writer: u64) -> Vec<u8> {
    // Moves the range of i32 onto that of u32, so that days before 1970 sort first.
    let day = (day.0 as u32) ^ (1 << 31);
    [&[space::USAGE][..], &tenant.to_bytes(), &day.to_be_bytes(), &writer.to_be_bytes()].concat()
}

/// Reads a usage row.
pub(super) fn usage_of(key: &[u8], payload: &[u8]) -> Option<UsageRow> {
    let mut fields = Fields(key.strip_prefix(&[space::USAGE])?);
    let tenant = TenantId::from_bytes(fields.array()?);
    let day = Day((u32::from_be_bytes(fields.array()?) ^ (1 << 31)) as i32);
    let writer = u64::from_be_bytes(fields.array()?);
    let mut fields = Fields(payload);
    let mut next = || fields.array().map(u64::from_le_bytes);
    let totals = Totals {
        admitted: next()?,
        metered: next()?,
        given_back: next()?,
        aborted: next()?,
        egress: next()?,
        ingress: next()?,
        rejected: next()?,
        // Rows of earlier versions end here.
        calls_over: next().unwrap_or(0),
        egress_over: next().unwrap_or(0),
    };
    Some(UsageRow { writer, tenant, day, totals })
}

/// The payload of a usage row.
pub(super) fn usage_payload(totals: &Totals) -> Vec<u8> {
    let Totals { admitted, metered, given_back, aborted, egress, ingress, rejected, calls_over, egress_over } = *totals;
    let counts = [admitted, metered, given_back, aborted, egress, ingress, rejected, calls_over, egress_over];
    counts.iter().flat_map(|count| count.to_le_bytes()).collect()
}

/// The key of a sequence or a lease.
pub(super) fn named_key(space: u8, name: &str) -> Vec<u8> {
    [&[space], name.as_bytes()].concat()
}

/// Reads the last number drawn.
pub(super) fn number_of(payload: &[u8]) -> Option<u64> {
    payload.try_into().ok().map(u64::from_le_bytes)
}

/// The payload of a lease: until when (milliseconds since the epoch), and who.
pub(super) fn lease_payload(until: i64, holder: &str) -> Vec<u8> {
    [&until.to_le_bytes(), holder.as_bytes()].concat()
}

/// Reads a lease.
pub(super) fn lease_of(payload: &[u8]) -> Option<(i64, &str)> {
    let mut fields = Fields(payload);
    let until = i64::from_le_bytes(fields.array()?);
    Some((until, std::str::from_utf8(fields.0).ok()?))
}

/// The key of the change `index` of the commit `version`.
pub(super) fn change_key(version: u64, index: u32) -> Vec<u8> {
    [&[space::CHANGE][..], &version.to_be_bytes(), &index.to_be_bytes()].concat()
}

/// The payload of a change: which record.
pub(super) fn change_payload(key: &Key) -> Vec<u8> {
    head_key(key.table, &key.id)
}

/// Reads a change.
pub(super) fn change_of(key: &[u8], payload: &[u8]) -> Option<Changed> {
    let version = Fields(key.strip_prefix(&[space::CHANGE])?).array().map(u64::from_be_bytes)?;
    Some(Changed { version: Version(version), key: head_of(payload)? })
}

/// Takes fields from the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }
}

// The codes keep the order of the enum, which is the order of an export.
fn table_code(table: Table) -> u8 {
    match table {
        Table::Tenants => 1,
        Table::Slugs => 2,
        Table::Domains => 3,
        Table::Keys => 4,
        Table::Idempotency => 5,
        Table::Reported => 6,
        Table::Audit => 7,
        Table::AuditByTenant => 8,
        Table::Settings => 9,
        Table::UsagePages => 10,
        Table::Gauges => 11,
        Table::GaugeMonths => 12,
        Table::ActiveUsers => 13,
        Table::Alerts => 14,
        Table::DomainsByTenant => 15,
        Table::Certificates => 16,
        Table::Plans => 17,
        Table::Invoices => 18,
        Table::InvoicesByTenant => 19,
        Table::Movements => 20,
        Table::ProviderEvents => 21,
        Table::ProviderObjects => 22,
        Table::AddOns => 23,
        Table::KeyUses => 24,
        Table::TenantIssuers => 25,
        Table::Rollouts => 30,
        Table::Events => 40,
        Table::EventQueue => 41,
        Table::AuditHead => 50,
        Table::Operators => 51,
    }
}

fn table_of(code: u8) -> Option<Table> {
    let tables = [
        Table::Tenants,
        Table::Slugs,
        Table::Domains,
        Table::Keys,
        Table::Idempotency,
        Table::Reported,
        Table::Audit,
        Table::AuditByTenant,
        Table::Settings,
        Table::UsagePages,
        Table::Gauges,
        Table::GaugeMonths,
        Table::ActiveUsers,
        Table::Alerts,
        Table::DomainsByTenant,
        Table::Certificates,
        Table::Plans,
        Table::Invoices,
        Table::InvoicesByTenant,
        Table::Movements,
        Table::ProviderEvents,
        Table::ProviderObjects,
        Table::AddOns,
        Table::KeyUses,
        Table::TenantIssuers,
        Table::Rollouts,
        Table::Events,
        Table::EventQueue,
        Table::AuditHead,
        Table::Operators,
    ];
    tables.into_iter().find(|table| table_code(*table) == code)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::model::Millis;

    #[test]
    fn any_flipped_bit_of_a_value_or_its_key_is_noticed() {
        let (key, payload) = (head_key(Table::Slugs, "acme"), b"tenant".to_vec());
        let value = seal(&key, &payload);
        assert_eq!(unseal(&key, &value).unwrap(), payload);
        for bit in 0..value.len() * 8 {
            let mut wrong = value.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal(&key, &wrong).is_err(), "bit {bit} of the value");
        }
        for bit in 0..key.len() * 8 {
            let mut wrong = key.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal(&wrong, &value).is_err(), "bit {bit} of the key");
        }
    }

    #[test]
    fn usage_rows_sort_by_tenant_then_day_then_writer() {
        let (one, two) = (TenantId::new(Millis(1)), TenantId::new(Millis(2)));
        let mut keys = Vec::new();
        for tenant in [one, two] {
            for day in [i32::MIN, -1, 0, 1, 20_000, i32::MAX] {
                for writer in [0, 1, u64::MAX] {
                    keys.push(usage_key(tenant, Day(day), writer));
                    let totals = Totals { admitted: writer, rejected: 3, ..Totals::default() };
                    let row = usage_of(keys.last().unwrap(), &usage_payload(&totals)).unwrap();
                    assert_eq!(row, UsageRow { writer, tenant, day: Day(day), totals });
                }
            }
        }
        assert!(keys.is_sorted());
    }

    proptest! {
        #[test]
        fn keys_of_records_sort_as_tables_and_ids_do_and_read_back(
            one in ("[ -~]{1,9}", 1_u8..15), two in ("[ -~]{1,9}", 1_u8..15),
        ) {
            let [one, two] = [one, two].map(|(id, table)| Key::new(table_of(table).unwrap(), id));
            let [first, second] = [&one, &two].map(|key| head_key(key.table, &key.id));
            prop_assert_eq!(head_of(&first).unwrap(), one.clone());
            prop_assert_eq!(first.cmp(&second), one.cmp(&two));
            prop_assert_eq!(part_key(&one, 9) < part_key(&one, 10), true);
        }

        #[test]
        fn heads_read_back(version: u64, value in proptest::collection::vec(any::<u8>(), 0..9_000)) {
            let payload = Head::encode(version, &value);
            let head = Head::decode(&payload).unwrap();
            prop_assert_eq!((head.version, head.len as usize), (version, value.len()));
            prop_assert_eq!(head.first, &value[..value.len().min(PART)]);
            prop_assert_eq!(usize::from(head.parts()), value.chunks(PART).count().saturating_sub(1));
        }
    }
}
