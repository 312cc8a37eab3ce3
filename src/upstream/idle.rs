//! What a worker keeps for later: idle connections by target, and buffers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::Target;
use super::connection::{CHUNK, Connection};

/// Idle connections kept for one target.
const MAX_IDLE: usize = 256;
/// Buffers of each kind kept for all.
const MAX_BUFFERS: usize = 64;
/// A larger buffer of a head is not kept.
const MAX_KEPT_HEAD: usize = 16 * 1024;
/// So long before the upstream closes an idle connection it is closed here: its close and our request must not cross.
const MARGIN: Duration = Duration::from_secs(1);

struct Parked {
    connection: Box<Connection>,
    until: Instant,
}

/// Idle connections: the one used last is taken first, so that the others can age.
#[derive(Default)]
pub(super) struct Idle {
    targets: HashMap<u64, Vec<Parked>, BuildHasherDefault<Spread>>,
}

/// For ids that are counted up, and that nobody else chooses: a product that spreads them is enough of a hash.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        octets.iter().for_each(|octet| self.write_u64(u64::from(*octet)));
    }

    fn write_u64(&mut self, id: u64) {
        // The golden ratio's fraction (Knuth, The Art of Computer Programming, section 6.4).
        self.0 = (self.0 ^ id).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    }
}

impl Idle {
    /// A connection that is fit for use at `now`; unfit ones that are met are closed.
    pub(super) fn take(&mut self, target: &Target, now: Instant) -> Option<Box<Connection>> {
        let parked = self.targets.get_mut(&target.id())?;
        while let Some(mut last) = parked.pop() {
            if last.until > now && last.connection.is_usable() {
                (last.connection.reused, last.connection.taken) = (true, now);
                return Some(last.connection);
            }
        }
        None
    }

    /// Keeps a connection for `idle_timeout`, or for what the upstream said (`keep`) if that is less.
    pub(super) fn park(&mut self, connection: Box<Connection>, now: Instant, idle_timeout: Duration, keep: Option<Duration>) {
        let keep = keep.map_or(idle_timeout, |keep| keep.saturating_sub(MARGIN).min(idle_timeout));
        let parked = self.targets.entry(connection.target.id()).or_default();
        if !keep.is_zero() && parked.len() < MAX_IDLE {
            parked.push(Parked { connection, until: now + keep });
        }
    }

    /// Closes what is too old at `now` or was closed by its peer.
    pub(super) fn purge(&mut self, now: Instant) {
        self.targets.retain(|_, parked| {
            parked.retain_mut(|parked| {
                let kept = parked.until > now && parked.connection.is_usable();
                if kept {
                    parked.connection.rest();
                }
                kept
            });
            !parked.is_empty()
        });
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.targets.values().map(Vec::len).sum()
    }
}

/// Buffers that go from request to request, so that idle connections need none.
#[derive(Default)]
pub(super) struct Buffers {
    read: Vec<BytesMut>,
    heads: Vec<Vec<u8>>,
}

impl Buffers {
    pub(super) fn read(&mut self) -> BytesMut {
        self.read.pop().unwrap_or_else(|| BytesMut::with_capacity(CHUNK))
    }

    pub(super) fn head(&mut self) -> Vec<u8> {
        self.heads.pop().unwrap_or_else(|| Vec::with_capacity(1024))
    }

    /// Keeps a read buffer, unless a part of it is still held elsewhere.
    pub(super) fn give_read(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        if self.read.len() < MAX_BUFFERS && buffer.try_reclaim(CHUNK) && buffer.capacity() <= 2 * CHUNK {
            self.read.push(buffer);
        }
    }

    pub(super) fn give_head(&mut self, mut buffer: Vec<u8>) {
        if self.heads.len() < MAX_BUFFERS && buffer.capacity() <= MAX_KEPT_HEAD {
            buffer.clear();
            self.heads.push(buffer);
        }
    }
}
