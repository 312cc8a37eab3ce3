//! Hexadecimal, as hashes and keys are written.

use std::fmt::Write;

/// Two lower-case digits for each octet.
pub fn hex<'a>(octets: impl IntoIterator<Item = &'a u8>) -> String {
    octets.into_iter().fold(String::new(), |mut text, octet| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}
