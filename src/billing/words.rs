//! Numbers as people read them.

/// Thousands apart: `12,500`.
pub fn count(number: u64) -> String {
    grouped(&number.to_string())
}

/// Digits with their thousands apart.
pub fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many units that a resource is billed by: `1,000`, `1 GB`.
pub fn package(resource: &str, units: u64) -> String {
    if resource == "apiCalls" { count(units) } else { octets(units) }
}

/// A size in the largest unit of which it is a whole number: `1 GB`, `512 MiB`.
fn octets(size: u64) -> String {
    let units: [(u64, &str); 8] = [
        (1 << 40, "TiB"),
        (1_000_000_000_000, "TB"),
        (1 << 30, "GiB"),
        (1_000_000_000, "GB"),
        (1 << 20, "MiB"),
        (1_000_000, "MB"),
        (1 << 10, "KiB"),
        (1000, "kB"),
    ];
    let unit = units.into_iter().find(|(unit, _)| size >= *unit && size.is_multiple_of(*unit));
    let (unit, name) = unit.unwrap_or((1, "bytes"));
    format!("{}\u{a0}{name}", count(size / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 999, 1_000, u64::MAX].map(count), ["0", "999", "1,000", "18,446,744,073,709,551,615"]);
    }

    #[test]
    fn a_size_is_told_in_the_unit_that_it_was_meant_in() {
        let cases = [(1_000_000_000, "1 GB"), (1 << 30, "1 GiB"), (5_000_000, "5 MB"), (512 << 20, "512 MiB"), (1001, "1,001 bytes")];
        for (size, expected) in cases {
            assert_eq!(octets(size).replace('\u{a0}', " "), expected);
        }
    }
}
