//! Long content that is cheap to make and to check: no two near places look alike, so octets that are lost, doubled or
//! swapped are noticed.

use std::sync::OnceLock;

use bytes::Bytes;

/// The content repeats after so many octets: a prime, so that it is out of step with every buffer.
const PERIOD: usize = 1_000_003;
/// The most that one piece may have.
pub const PIECE: usize = 256 * 1024;

/// The content from octet number `at` on, so many octets or [`PIECE`].
pub fn piece(at: u64, count: u64) -> Bytes {
    static TABLE: OnceLock<Bytes> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut random = fastrand::Rng::with_seed(7);
        let mut table: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(PERIOD).collect();
        table.extend_from_within(..PIECE);
        table.into()
    });
    let start = usize::try_from(at % PERIOD as u64).expect("small");
    let count = usize::try_from(count.min(PIECE as u64)).expect("small");
    table.slice(start..start + count)
}

/// Checks content as it comes in.
#[derive(Debug, Default)]
pub struct Check {
    /// Octets that have come, all as they should be.
    pub octets: u64,
}

impl Check {
    /// The next octets.
    #[track_caller]
    pub fn take(&mut self, octets: &[u8]) {
        for part in octets.chunks(PIECE) {
            assert!(part == piece(self.octets, part.len() as u64), "the content differs after octet {}", self.octets);
            self.octets += part.len() as u64;
        }
    }
}
