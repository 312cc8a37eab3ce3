//! Durations and sizes as people write them. Whole numbers only, so that nothing is ever rounded.

use std::time::Duration;

/// Longer than any time-out that makes sense, and short enough to be added to any moment.
const MAX_SECONDS: u64 = 366 * 24 * 60 * 60;

/// Reads `500ms`, `30s`, `2m`, `1h` or `1d`.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = |each: u64| number.checked_mul(each).filter(|it| *it <= MAX_SECONDS).map(Duration::from_secs);
    match unit {
        "ms" if number / 1000 <= MAX_SECONDS => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(60 * 60),
        "d" => seconds(24 * 60 * 60),
        _ => None,
    }
}

/// Reads plain octets, `10KiB` … `1TiB` (powers of 1024) or `10KB` … `1TB` (powers of 1000); capitals do not matter.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let unit = unit.to_ascii_lowercase();
    let (letter, base): (&str, u64) = match unit.as_str() {
        "" | "b" => return Some(number),
        _ => unit.strip_suffix("ib").map(|letter| (letter, 1024)).or_else(|| unit.strip_suffix('b').map(|letter| (letter, 1000)))?,
    };
    let power = ["k", "m", "g", "t", "p"].iter().position(|known| *known == letter)? as u32 + 1;
    number.checked_mul(base.pow(power))
}

/// The number in front and the unit behind it, with or without a space between.
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        let second = Duration::from_secs(1);
        for (text, length) in
            [("500ms", second / 2), ("30s", second * 30), ("2m", second * 120), ("1h", second * 3600), ("1 d", second * 86400)]
        {
            assert_eq!(duration(text), Some(length), "{text}");
        }
        for wrong in ["", "30", "s", "-1s", "1.5s", "1w", "1 s s", "99999999999999999999s", "9999999999d", "18446744073709551615ms", "٣s"]
        {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_tell_decimal_from_binary_units() {
        for (text, octets) in [("0", 0), ("17", 17), ("1KB", 1000), ("16KiB", 16384), ("1GB", 1_000_000_000), ("1 tib", 1 << 40), ("5b", 5)]
        {
            assert_eq!(size(text), Some(octets), "{text}");
        }
        for wrong in ["", "KiB", "-1", "1.5GiB", "1XB", "1Ki", "1M", "16777216TiB", "99999999999999999999"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
