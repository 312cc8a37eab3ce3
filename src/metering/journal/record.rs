//! A record: one report as it lies in a file. It is whole or not there: the mark that makes it valid is written last.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::cell::{CELL_SIZE, Position, halves, tenant_of, words};
use crate::metering::report::{Report, ReportKey, What};
use crate::model::{Gauge, Millis};

/// The first word of a record that is complete. Anything but this and zero is damage.
const VALID: u64 = 0x51c8_0fe2_7a93_b46d;
const WORDS: usize = CELL_SIZE / 8;
/// Words that the checksum covers, after the mark.
const BODY: usize = 12;

/// One record in the file.
#[repr(C, align(128))]
pub(super) struct Record([AtomicU64; WORDS]);

const _: () = assert!(size_of::<Record>() == CELL_SIZE);

impl Record {
    /// Writes a report; the caller has the record to itself. Killed before the last store, there is none.
    pub(super) fn write(&self, position: Position, report: &Report) {
        let body = encode(report);
        let [valid, words @ ..] = &self.0;
        words.iter().zip(body).for_each(|(word, value)| word.store(value, Relaxed));
        if let Some(word) = words.get(BODY) {
            word.store(checksum(position, &body), Relaxed);
        }
        valid.store(VALID, Release);
    }

    /// The report, once it is complete.
    pub(super) fn get(&self) -> Option<Report> {
        let [valid, words @ ..] = &self.0;
        if valid.load(Acquire) != VALID {
            return None;
        }
        let mut body = [0; BODY];
        body.iter_mut().zip(words).for_each(|(value, word)| *value = word.load(Relaxed));
        decode(&body)
    }
}

/// Reads the bytes of a record that nobody writes any more; `None` where there is none, or it was not finished.
pub(super) fn read(bytes: &[u8; CELL_SIZE], position: Position) -> Result<Option<Report>, &'static str> {
    let words = words(bytes);
    let [valid, rest @ ..] = words;
    match valid {
        0 => return Ok(None),
        VALID => {}
        _ => return Err("a record is neither used nor unused"),
    }
    let (body, sum) = rest.split_first_chunk::<BODY>().ok_or("a record is too short")?;
    if *sum != [checksum(position, body), 0, 0] {
        return Err("the checksum of a record does not fit");
    }
    decode(body).map(Some).ok_or("a record says what there is not")
}

fn encode(report: &Report) -> [u64; BODY] {
    let (high, low) = halves(report.tenant);
    let (kind, value, over, user) = match report.what {
        What::Level(gauge, level, over) => (gauge_code(gauge), level, over, [0; 16]),
        What::ActiveUser(user) => (4, 0, 0, user),
        What::KnownUser => (5, 0, 0, [0; 16]),
    };
    let key = report.key.unwrap_or(ReportKey { key: [0; 16], body: [0; 16] });
    let [user, name, body] = [user, key.key, key.body].map(pair);
    [high, low, report.time.0 as u64, kind, value, user.0, user.1, name.0, name.1, body.0, body.1, over]
}

fn decode(body: &[u64; BODY]) -> Option<Report> {
    let [high, low, time, kind, value, user @ .., name_0, name_1, body_0, body_1, over] = *body;
    let what = match kind {
        1 => What::Level(Gauge::Storage, value, over),
        2 => What::Level(Gauge::Users, value, over),
        3 => What::Level(Gauge::Projects, value, over),
        4 => What::ActiveUser(bytes(user)),
        5 => What::KnownUser,
        _ => return None,
    };
    let key = ReportKey { key: bytes([name_0, name_1]), body: bytes([body_0, body_1]) };
    let key = Some(key).filter(|key| key.key != [0; 16]);
    Some(Report { tenant: tenant_of(high, low), time: Millis(time as i64), what, key })
}

const fn gauge_code(gauge: Gauge) -> u64 {
    match gauge {
        Gauge::Storage => 1,
        Gauge::Users => 2,
        Gauge::Projects => 3,
    }
}

fn checksum(position: Position, body: &[u64; BODY]) -> u64 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&position.incarnation.to_le_bytes());
    crc.update(&position.sequence.to_le_bytes());
    crc.update(&position.index.to_le_bytes());
    body.iter().for_each(|word| crc.update(&word.to_le_bytes()));
    u64::from(crc.finalize())
}

fn pair(bytes: [u8; 16]) -> (u64, u64) {
    let both = u128::from_be_bytes(bytes);
    ((both >> 64) as u64, both as u64)
}

fn bytes([high, low]: [u64; 2]) -> [u8; 16] {
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}
