//! The lines themselves: JSON written straight into a buffer, and which refusals are written in full.
//!
//! What it promises: every line is one valid JSON object with its keys in a fixed order, whatever a client sent; no
//! control character is in it; writing one allocates nothing but the buffer's growth.

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use super::AccessRecord;
use crate::model::Millis;

/// Refusals a second that a worker writes in full.
const FULL_REFUSALS: u32 = 200;

/// 9999-12-31T23:59:59.999Z: RFC 3339 has no later years.
const LATEST: i64 = 253_402_300_799_999;

/// Which refusals are written in full, and how many of each code were not.
#[derive(Default)]
pub(super) struct Flood {
    second: i64,
    written: u32,
    left_out: Vec<(&'static str, u64)>,
}

impl Flood {
    /// Whether a refusal that ended at `now` is written; otherwise it is counted.
    pub(super) fn admits(&mut self, code: &'static str, now: Millis) -> bool {
        let second = now.0.div_euclid(1000);
        // A step back of a second is two requests that ended in turn; a longer one is a clock that was set.
        if second > self.second || second < self.second - 1 {
            (self.second, self.written) = (second, 0);
        }
        if self.written < FULL_REFUSALS {
            self.written += 1;
            return true;
        }
        // Codes are few and constant, so this list stays short.
        match self.left_out.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += 1,
            None => self.left_out.push((code, 1)),
        }
        false
    }

    /// What was left out since the last call.
    pub(super) fn take_left_out(&mut self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let counts = self.left_out.iter_mut().map(|(code, count)| (*code, std::mem::take(count)));
        counts.filter(|(_, count)| *count > 0)
    }
}

/// Adds the line of a request.
pub(super) fn record(out: &mut Vec<u8>, record: &AccessRecord<'_>) {
    // Once, instead of at each of the small additions.
    out.reserve(512 + record.path.len() + record.host.len());
    raw(out, "{\"time\":");
    time(out, record.time);
    raw(out, ",\"requestId\":\"");
    raw(out, record.request_id);
    raw(out, "\",\"tenant\":");
    optional(out, record.tenant);
    raw(out, ",\"slug\":");
    optional(out, record.slug);
    raw(out, ",\"client\":");
    address(out, record.client);
    raw(out, ",\"protocol\":\"");
    raw(out, record.protocol);
    raw(out, "\",\"method\":\"");
    // A token, like the names around it: nothing in it needs an escape (RFC 9110, section 9.1).
    raw(out, record.method);
    raw(out, "\",\"host\":");
    text(out, record.host);
    raw(out, ",\"path\":");
    text(out, record.path);
    raw(out, ",\"status\":");
    number(out, u64::from(record.status));
    raw(out, ",\"code\":");
    optional(out, record.code);
    raw(out, ",\"owner\":\"");
    raw(out, record.owner.as_str());
    raw(out, "\",\"bytesIn\":");
    number(out, record.bytes_in);
    raw(out, ",\"bytesOut\":");
    number(out, record.bytes_out);
    raw(out, ",\"durationMs\":");
    millis(out, record.duration);
    raw(out, ",\"upstreamMs\":");
    match record.upstream {
        Some(took) => millis(out, took),
        None => raw(out, "null"),
    }
    raw(out, ",\"aborted\":");
    raw(out, if record.aborted { "true}\n" } else { "false}\n" });
}

/// Adds the line that stands for refusals that were not written in full.
pub(super) fn left_out(out: &mut Vec<u8>, now: Millis, code: &str, left_out: u64) {
    raw(out, "{\"time\":");
    time(out, now);
    raw(out, ",\"sampled\":true,\"code\":");
    text(out, code);
    raw(out, ",\"leftOut\":");
    number(out, left_out);
    raw(out, "}\n");
}

/// Adds the line that stands for lines that could not be written.
pub(super) fn dropped(out: &mut Vec<u8>, now: Millis, lines: u64) {
    raw(out, "{\"time\":");
    time(out, now);
    raw(out, ",\"dropped\":");
    number(out, lines);
    raw(out, "}\n");
}

fn raw(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn number(out: &mut Vec<u8>, number: u64) {
    raw(out, itoa::Buffer::new().format(number));
}

/// A name of the gateway's own, in which nothing needs an escape.
fn optional(out: &mut Vec<u8>, name: Option<&str>) {
    match name {
        Some(name) => {
            out.push(b'"');
            raw(out, name);
            out.push(b'"');
        }
        None => raw(out, "null"),
    }
}

/// Milliseconds with three decimals.
fn millis(out: &mut Vec<u8>, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    number(out, micros / 1000);
    let mut rest = *b".000";
    digits(&mut rest[1..], (micros % 1000) as u32);
    out.extend_from_slice(&rest);
}

/// RFC 3339 in UTC, with milliseconds.
fn time(out: &mut Vec<u8>, time: Millis) {
    let time = Millis(time.0.clamp(0, LATEST));
    let (year, month, day) = time.day().civil();
    // Nothing is negative after the clamp, and no part has more digits than its place.
    let (year, of_day) = (year.unsigned_abs(), time.0.rem_euclid(86_400_000) as u32);
    let mut text = *b"\"0000-00-00T00:00:00.000Z\"";
    digits(&mut text[1..5], year);
    digits(&mut text[6..8], u32::from(month));
    digits(&mut text[9..11], u32::from(day));
    digits(&mut text[12..14], of_day / 3_600_000);
    digits(&mut text[15..17], of_day / 60_000 % 60);
    digits(&mut text[18..20], of_day / 1000 % 60);
    digits(&mut text[21..24], of_day % 1000);
    out.extend_from_slice(&text);
}

/// Fills `place` with the last digits of `number`.
fn digits(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn address(out: &mut Vec<u8>, address: IpAddr) {
    out.push(b'"');
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            for (octet, after) in [(a, "."), (b, "."), (c, "."), (d, "\"")] {
                number(out, u64::from(octet));
                raw(out, after);
            }
        }
        // Writing to a Vec cannot fail.
        IpAddr::V6(v6) => _ = write!(out, "{v6}\""),
    }
}

/// A JSON string. Beside what JSON asks for, DEL, the C1 controls and the line separators that JavaScript knows are
/// written as escapes: a terminal that shows the log acts on none of them.
fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    // Looks at every octet instead of stopping at the first: that way the compiler takes many at once.
    let is_plain = |octet: u8| (b' '..=b'~').contains(&octet) & (octet != b'"') & (octet != b'\\');
    if text.bytes().fold(true, |plain, octet| plain & is_plain(octet)) {
        raw(out, text);
    } else {
        escaped(out, text);
    }
    out.push(b'"');
}

#[cold]
fn escaped(out: &mut Vec<u8>, text: &str) {
    for letter in text.chars() {
        match letter {
            '"' => raw(out, "\\\""),
            '\\' => raw(out, "\\\\"),
            '\n' => raw(out, "\\n"),
            '\r' => raw(out, "\\r"),
            '\t' => raw(out, "\\t"),
            '\u{2028}' | '\u{2029}' => _ = write!(out, "\\u{:04x}", u32::from(letter)),
            control if control.is_control() => _ = write!(out, "\\u{:04x}", u32::from(control)),
            other => raw(out, other.encode_utf8(&mut [0; 4])),
        }
    }
}
