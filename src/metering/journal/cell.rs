//! A cell: the counters and the key of one tenant and day, as they lie in a segment. Atomics only, so that any bytes are a cell.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

use crate::model::{Day, TenantId, Totals};

/// Octets of a cell: two cache lines, one for the counters and one for the key; never across a disk sector.
pub(super) const CELL_SIZE: usize = 128;

/// `state` of a cell whose key is complete. Anything but this and zero is damage.
pub(super) const VALID: u64 = 0x9d5a_31c6_e0b7_482f;

/// One slot in the file. Its counters are zero until it is valid, and only grow.
#[repr(C, align(128))]
pub(super) struct Cell {
    pub(super) admitted: AtomicU64,
    pub(super) metered: AtomicU64,
    pub(super) given_back: AtomicU64,
    pub(super) egress: AtomicU64,
    pub(super) ingress: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) calls_over: AtomicU64,
    pub(super) egress_over: AtomicU64,
    state: AtomicU64,
    tenant: [AtomicU64; 2],
    day: AtomicU64,
    checksum: AtomicU64,
    _key: [AtomicU64; 3],
}

const _: () = assert!(size_of::<Cell>() == CELL_SIZE);

/// Where a cell is; part of its checksum, so that a cell copied elsewhere is noticed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    pub(super) incarnation: u64,
    pub(super) sequence: u32,
    pub(super) index: u32,
}

impl Position {
    pub(super) fn checksum(self, tenant: TenantId, day: Day) -> u64 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.incarnation.to_le_bytes());
        crc.update(&self.sequence.to_le_bytes());
        crc.update(&self.index.to_le_bytes());
        crc.update(&tenant.to_bytes());
        crc.update(&day.0.to_le_bytes());
        u64::from(crc.finalize())
    }
}

impl Cell {
    /// Gives a cell its key; the caller has it to itself. Killed before the last store, the cell is unused.
    pub(super) fn write_key(&self, position: Position, tenant: TenantId, day: Day) {
        let (high, low) = halves(tenant);
        self.tenant[0].store(high, Relaxed);
        self.tenant[1].store(low, Relaxed);
        self.day.store(day_word(day), Relaxed);
        self.checksum.store(position.checksum(tenant, day), Relaxed);
        self.state.store(VALID, Release);
    }

    /// The key, once it is complete.
    pub(super) fn key(&self) -> Option<(TenantId, Day)> {
        (self.state.load(Acquire) == VALID).then(|| {
            let tenant = tenant_of(self.tenant[0].load(Relaxed), self.tenant[1].load(Relaxed));
            (tenant, day_of(self.day.load(Relaxed)))
        })
    }

    /// One call counts: how many counted before it. Release: whoever sees it sees its admission too.
    pub(super) fn add_metered(&self) -> u64 {
        self.metered.fetch_add(1, Release)
    }

    /// One place is given back. In one order with the quota's reads; see [`take_place`](crate::limits::take_place).
    pub(super) fn give_back(&self) {
        self.given_back.fetch_add(1, SeqCst);
    }

    /// All counters. What follows something is read before it, so that it is never ahead: `admitted` last.
    pub(super) fn totals(&self) -> Totals {
        let (calls_over, egress_over) = (self.calls_over.load(Acquire), self.egress_over.load(Acquire));
        let metered = self.metered.load(Acquire);
        let given_back = self.given_back.load(SeqCst);
        Totals {
            admitted: self.admitted.load(SeqCst),
            metered,
            given_back,
            aborted: 0,
            egress: self.egress.load(Relaxed),
            ingress: self.ingress.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            calls_over,
            egress_over,
        }
    }
}

/// What a cell in a file of an earlier process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Never claimed, or killed while it was being claimed.
    Unused,
    /// The counters of a tenant's day, as the process left them.
    Counted(TenantId, Day, Totals),
}

/// No counter gets here: a thousand calls a nanosecond for a year, or an exabyte.
const IMPLAUSIBLE: u64 = 1 << 60;

/// Reads the bytes of a cell that nobody writes any more, with what was in flight booked as aborted.
pub(super) fn read(bytes: &[u8; CELL_SIZE], position: Position) -> Result<Found, &'static str> {
    let words = words(bytes);
    let [admitted, metered, given_back, egress, ingress, rejected, calls_over, egress_over, ..] = words;
    let [.., state, high, low, day, checksum, rest_0, rest_1, rest_2] = words;
    let counters = [admitted, metered, given_back, egress, ingress, rejected, calls_over, egress_over];
    if [rest_0, rest_1, rest_2] != [0; 3] {
        return Err("octets that are always zero are not");
    }
    match state {
        // Nothing is added before a slot is valid.
        0 if counters != [0; 8] => return Err("an unused slot has counted"),
        0 => return Ok(Found::Unused),
        VALID => {}
        _ => return Err("a slot is neither used nor unused"),
    }
    let (tenant, word, day) = (tenant_of(high, low), day, day_of(day));
    if checksum != position.checksum(tenant, day) || word != day_word(day) {
        return Err("the checksum of a slot's key does not fit");
    }
    if counters.iter().any(|counter| *counter >= IMPLAUSIBLE) {
        return Err("a counter is larger than any can be");
    }
    // Cannot overflow: both are below 2⁶⁰.
    let Some(aborted) = admitted.checked_sub(metered + given_back) else {
        return Err("more calls ended than were admitted");
    };
    if calls_over > metered || egress_over > egress {
        return Err("more lies beyond a limit than was counted");
    }
    Ok(Found::Counted(tenant, day, Totals { admitted, metered, given_back, aborted, egress, ingress, rejected, calls_over, egress_over }))
}

pub(super) fn words(bytes: &[u8; CELL_SIZE]) -> [u64; CELL_SIZE / 8] {
    let mut words = [0; CELL_SIZE / 8];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    words
}

pub(super) fn halves(tenant: TenantId) -> (u64, u64) {
    let both = u128::from_be_bytes(tenant.to_bytes());
    ((both >> 64) as u64, both as u64)
}

pub(super) fn tenant_of(high: u64, low: u64) -> TenantId {
    TenantId::from_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
}

fn day_word(day: Day) -> u64 {
    i64::from(day.0) as u64
}

fn day_of(word: u64) -> Day {
    Day(word as i32)
}
