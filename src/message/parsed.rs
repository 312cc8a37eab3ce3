//! From a head that was parsed where it lies to its fields: one copy of all of it, and an index of what the parser found.

use super::fields::{COLON, Entry, LINE_END};
use super::{Fields, Name};

/// The fields of a head, as they are found in it.
pub struct Parsed<'h> {
    head: &'h [u8],
    fields: Fields,
}

impl<'h> Parsed<'h> {
    /// None yet. What else is in the head, such as its first line, is copied as well, and never written.
    pub fn of(head: &'h [u8]) -> Self {
        let mut fields = Fields::new();
        fields.lines.extend_from_slice(head);
        Self { head, fields }
    }

    /// Adds one: `text` and `value` are parts of the head. A line that is not as the gateway writes lines is written anew.
    // No head comes near 4 GiB.
    #[allow(clippy::cast_possible_truncation)]
    pub fn add(&mut self, name: Name, text: &[u8], value: &[u8]) {
        let (colon, start_of_value) = (self.end_of(text), self.end_of(value).wrapping_sub(value.len()));
        let end_of_value = start_of_value.wrapping_add(value.len());
        let is_between = |from: usize, octets: &[u8]| self.head.get(from..from.wrapping_add(octets.len())) == Some(octets);
        if start_of_value == colon.wrapping_add(COLON.len()) && is_between(colon, COLON) && is_between(end_of_value, LINE_END) {
            let start = (colon - text.len()) as u32;
            self.fields.add(Entry { name, start, colon: colon as u32, end: (end_of_value + LINE_END.len()) as u32 });
        } else {
            self.fields.push_named(name, text, value);
        }
    }

    /// Where a part of the head ends, counted from its beginning; of anything else, a place that is not in it.
    fn end_of(&self, part: &[u8]) -> usize {
        (part.as_ptr() as usize).wrapping_sub(self.head.as_ptr() as usize).wrapping_add(part.len())
    }

    /// All of them.
    pub fn into_fields(self) -> Fields {
        self.fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_as_they_are_and_odd_ones_are_written_anew() {
        let head = b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Odd:b \r\nX-Empty: \r\nCookie: c=1\r\n\r\n";
        let part = |text: &str| {
            let at = head.windows(text.len()).position(|window| window == text.as_bytes()).unwrap_or_default();
            &head[at..at + text.len()]
        };
        let mut parsed = Parsed::of(head);
        for (text, value) in [("Host", "a.test"), ("X-Odd", "b"), ("Cookie", "c=1")] {
            parsed.add(Name::of(text.as_bytes()), part(text), part(value));
        }
        parsed.add(Name::Other, part("X-Empty"), &[]);
        parsed.add(Name::Other, b"Elsewhere", b"d");
        let mut fields = parsed.into_fields();
        let mut out = Vec::new();
        fields.write(&mut out);
        assert_eq!(out, b"Host: a.test\r\nX-Odd: b\r\nCookie: c=1\r\nX-Empty: \r\nElsewhere: d\r\n");
        assert_eq!(fields.get(Name::Cookie), Some(&b"c=1"[..]));
        assert!(fields.remove(Name::Host));
        out.clear();
        fields.write(&mut out);
        assert_eq!(out, b"X-Odd: b\r\nCookie: c=1\r\nX-Empty: \r\nElsewhere: d\r\n");
    }
}
