//! The form of a segment's file: a header page, then cells. Numbers are in the machine's order; the journal never travels.

use std::fs;
use std::path::Path;

use super::cell::{self, CELL_SIZE, Found, Position};
use super::error::JournalError;
use super::record;
use crate::metering::report::Report;
use crate::store::UsageRow;

/// Octets before the first cell: one page.
pub(super) const HEADER_SIZE: usize = 4096;

const MAGIC: [u8; 8] = *b"\x89GHUSAG\n";
/// Format 1 had six counters in a slot, and zeros in the place of the two that came later.
const FORMAT: u32 = 2;
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
    /// What is in them.
    pub(super) kind: Kind,
}

/// What the cells of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Slots of tenants and days.
    Slots,
    /// Reports, one after the other.
    Reports,
}

impl Kind {
    /// As the header says it; files of format 1 say zero.
    const fn code(self) -> u32 {
        match self {
            Self::Slots => 0,
            Self::Reports => 1,
        }
    }

    /// How the file's name ends.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Slots => ".usage",
            Self::Reports => ".reports",
        }
    }

    /// The kind of a file with this name; `None` for other files.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        [Self::Slots, Self::Reports].into_iter().find(|kind| name.ends_with(kind.suffix()))
    }
}

impl Header {
    /// The name of its file.
    pub(super) fn file_name(&self) -> String {
        format!("{:016x}-{:08x}{}", self.incarnation, self.sequence, self.kind.suffix())
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
        page.extend(self.kind.code().to_ne_bytes());
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
            1..=FORMAT => {}
            format if format > FORMAT => return Err(JournalError::Newer { path: path.to_owned(), format }),
            format => return Err(JournalError::damaged(path, format!("there is no format {format}"))),
        }
        let incarnation = page[16..].first_chunk().copied().map_or(0, u64::from_ne_bytes);
        let kind = [Kind::Slots, Kind::Reports].into_iter().find(|kind| kind.code() == field(28));
        let kind = kind.ok_or_else(|| JournalError::damaged(path, "it says to be of a kind that there is not"))?;
        Ok(Self { incarnation, sequence: field(24), capacity: field(12), kind })
    }
}

/// What a file of the journal held.
#[derive(Debug, PartialEq)]
pub(super) enum Contents {
    /// The counters of its slots.
    Slots(Vec<UsageRow>),
    /// Its reports, with their places.
    Reports(Vec<(u32, Report)>),
}

/// Reads a file that nobody writes any more.
pub(super) fn read(path: &Path) -> Result<(Header, Contents), JournalError> {
    parse(path, &fs::read(path).map_err(JournalError::io("read", path))?)
}

/// Understands the octets of a file. Everything is checked, nothing is guessed: one cell that does not fit
/// condemns the file, because where one was damaged the counters of others, which no checksum covers, may be as well.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<(Header, Contents), JournalError> {
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
    let cells = (0_u32..).zip(cells.as_chunks::<CELL_SIZE>().0);
    let contents = match header.kind {
        Kind::Slots => Contents::Slots(slots(path, header, cells)?),
        Kind::Reports => Contents::Reports(reports(path, header, cells)?),
    };
    Ok((header, contents))
}

/// The cells of a file, with their indices.
type Cells<'a> = std::iter::Zip<std::ops::RangeFrom<u32>, std::slice::Iter<'a, [u8; CELL_SIZE]>>;

fn slots(path: &Path, header: Header, cells: Cells<'_>) -> Result<Vec<UsageRow>, JournalError> {
    let mut rows = Vec::new();
    for (index, bytes) in cells {
        match cell::read(bytes, header.position(index)) {
            Ok(Found::Unused) => {}
            Ok(Found::Counted(tenant, day, totals)) => rows.push(UsageRow { writer: header.incarnation, tenant, day, totals }),
            Err(reason) => return Err(JournalError::damaged(path, format!("slot {index}: {reason}"))),
        }
    }
    Ok(rows)
}

fn reports(path: &Path, header: Header, cells: Cells<'_>) -> Result<Vec<(u32, Report)>, JournalError> {
    let mut reports = Vec::new();
    for (index, bytes) in cells {
        let read = record::read(bytes, header.position(index))
            .map_err(|reason| JournalError::damaged(path, format!("report {index}: {reason}")))?;
        reports.extend(read.map(|report| (index, report)));
    }
    Ok(reports)
}

fn truncated(path: &Path) -> JournalError {
    JournalError::damaged(path, "its length is not what it was made with")
}
