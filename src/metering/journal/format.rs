//! The form of a segment's file: a header page, then cells. Numbers are in the machine's order; the journal never travels.

use std::fs;
use std::path::Path;

use super::cell::{self, CELL_SIZE, Found, Position};
use super::error::JournalError;
use crate::store::UsageRow;

/// Octets before the first cell: one page.
pub(super) const HEADER_SIZE: usize = 4096;

const MAGIC: [u8; 8] = *b"\x89GHUSAG\n";
const FORMAT: u32 = 1;
const SUFFIX: &str = ".usage";
/// Magic, format and the checksum of the page stay where they are in every format to come.
const CHECKSUM_AT: usize = HEADER_SIZE - 4;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The incarnation that counts in it.
    pub(super) incarnation: u64,
    /// Its number within the incarnation.
    pub(super) sequence: u32,
    /// How many cells it has.
    pub(super) capacity: u32,
}

impl Header {
    /// The name of its file.
    pub(super) fn file_name(&self) -> String {
        format!("{:016x}-{:08x}{SUFFIX}", self.incarnation, self.sequence)
    }

    /// Octets of its file.
    pub(super) fn file_size(&self) -> u64 {
        HEADER_SIZE as u64 + u64::from(self.capacity) * CELL_SIZE as u64
    }

    /// Where one of its cells is.
    pub(super) fn position(&self, index: u32) -> Position {
        Position { incarnation: self.incarnation, sequence: self.sequence, index }
    }

    /// The header page.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(HEADER_SIZE);
        page.extend(MAGIC);
        page.extend(FORMAT.to_ne_bytes());
        page.extend(self.capacity.to_ne_bytes());
        page.extend(self.incarnation.to_ne_bytes());
        page.extend(self.sequence.to_ne_bytes());
        page.resize(CHECKSUM_AT, 0);
        page.extend(crc32fast::hash(&page).to_ne_bytes());
        page
    }

    fn decode(path: &Path, page: &[u8; HEADER_SIZE]) -> Result<Self, JournalError> {
        // Every offset below lies within the page.
        let field = |at: usize| page[at..].first_chunk().copied().map_or(0, u32::from_ne_bytes);
        if !page.starts_with(&MAGIC) {
            return Err(JournalError::Foreign { path: path.to_owned() });
        }
        if field(CHECKSUM_AT) != crc32fast::hash(&page[..CHECKSUM_AT]) {
            return Err(JournalError::damaged(path, "the checksum of its header does not fit"));
        }
        match field(8) {
            FORMAT => {}
            format if format > FORMAT => return Err(JournalError::Newer { path: path.to_owned(), format }),
            format => return Err(JournalError::damaged(path, format!("there is no format {format}"))),
        }
        let incarnation = page[16..].first_chunk().copied().map_or(0, u64::from_ne_bytes);
        Ok(Self { incarnation, sequence: field(24), capacity: field(12) })
    }
}

/// True where a file of this name is a segment, or claims to be one.
pub(super) fn is_segment(name: &str) -> bool {
    name.ends_with(SUFFIX)
}

/// Reads a segment that nobody writes any more.
pub(super) fn read(path: &Path) -> Result<(Header, Vec<UsageRow>), JournalError> {
    parse(path, &fs::read(path).map_err(JournalError::io("read", path))?)
}

/// Understands the octets of a segment. Everything is checked, nothing is guessed: one cell that does not fit
/// condemns the file, because where one was damaged the counters of others, which no checksum covers, may be as well.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<(Header, Vec<UsageRow>), JournalError> {
    let Some((page, cells)) = bytes.split_first_chunk::<HEADER_SIZE>() else {
        // Cut within its header, or something else altogether.
        let cut = bytes.starts_with(&MAGIC) || bytes.is_empty();
        return Err(if cut { truncated(path) } else { JournalError::Foreign { path: path.to_owned() } });
    };
    let header = Header::decode(path, page)?;
    if path.file_name().is_none_or(|name| *name != *header.file_name()) {
        return Err(JournalError::damaged(path, format!("it was written as {}", header.file_name())));
    }
    if bytes.len() as u64 != header.file_size() {
        return Err(truncated(path));
    }
    let mut rows = Vec::new();
    for (index, bytes) in (0_u32..).zip(cells.as_chunks::<CELL_SIZE>().0) {
        match cell::read(bytes, header.position(index)) {
            Ok(Found::Unused) => {}
            Ok(Found::Counted(tenant, day, totals)) => rows.push(UsageRow { writer: header.incarnation, tenant, day, totals }),
            Err(reason) => return Err(JournalError::damaged(path, format!("slot {index}: {reason}"))),
        }
    }
    Ok((header, rows))
}

fn truncated(path: &Path) -> JournalError {
    JournalError::damaged(path, "its length is not what it was made with")
}
