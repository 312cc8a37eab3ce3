//! Incarnations: a number for each start, larger than all before in this directory, and unlike those of other directories.
//!
//! Milliseconds since the epoch, then 20 random bits. The largest one is kept in a file, so that a clock that goes back or a
//! second start within a millisecond still moves on; should the directory be lost, time and chance keep old rows safe.

use std::fs;
use std::path::Path;

use super::error::JournalError;
use super::recovery::write_whole;
use crate::model::Millis;

/// The file with the last incarnation.
pub(super) const FILE: &str = "incarnation";

const RANDOM_BITS: u32 = 20;
/// Keeps every incarnation positive as a signed number, which SQL databases store.
const LATEST: i64 = (1 << (63 - RANDOM_BITS)) - 1;

/// Begins a new incarnation, larger than the file's and than `newest`; it is durable before it is used.
pub(super) fn begin(dir: &Path, newest: u64, now: Millis) -> Result<u64, JournalError> {
    let path = dir.join(FILE);
    let last = newest.max(last(dir)?);
    let by_time = (now.0.clamp(0, LATEST) as u64) << RANDOM_BITS | fastrand::u64(..1 << RANDOM_BITS);
    let next = last.checked_add(1).ok_or_else(|| JournalError::damaged(&path, "there is no larger number"))?;
    let incarnation = next.max(by_time);
    write_whole(dir, FILE, encode(incarnation).as_bytes())?;
    Ok(incarnation)
}

/// The incarnation that the file says; 0 where there is none.
pub(super) fn last(dir: &Path) -> Result<u64, JournalError> {
    let path = &dir.join(FILE);
    match fs::read(path) {
        Ok(bytes) => decode(&bytes).ok_or_else(|| JournalError::damaged(path, "it is not a number with its checksum")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(JournalError::io("read", path)(error)),
    }
}

fn encode(incarnation: u64) -> String {
    format!("{incarnation} {:08x}\n", crc32fast::hash(&incarnation.to_le_bytes()))
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let text = str::from_utf8(bytes).ok()?;
    let number = text.split_once(' ')?.0.parse().ok()?;
    (encode(number) == text).then_some(number)
}
