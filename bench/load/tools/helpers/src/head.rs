//! Heads of HTTP/1.1, as far as a benchmark needs them: where they end, and what they say of the body.

/// What a head says.
pub struct Head<'a> {
    /// Octets of the head, with the empty line.
    pub length: usize,
    /// The first line.
    pub first: &'a str,
    fields: &'a str,
}

impl<'a> Head<'a> {
    /// The head at the beginning of what came; none while its end has not come.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let text = std::str::from_utf8(&bytes[..end + 2]).ok()?;
        let (first, fields) = text.split_once("\r\n")?;
        Some(Self { length: end + 4, first, fields })
    }

    /// The status of an answer.
    pub fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// A field, whatever the case of its name.
    pub fn field(&self, name: &str) -> Option<&'a str> {
        let mut lines = self.fields.split("\r\n").filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Octets of the body, where the head says how many.
    pub fn content_length(&self) -> Option<usize> {
        self.field("content-length")?.parse().ok()
    }

    /// Whether the connection ends with this message.
    pub fn closes(&self) -> bool {
        self.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}
