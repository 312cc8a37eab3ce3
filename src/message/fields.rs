//! The fields of a head, in their order, as they came: one copy of their lines and an index over it.
//!
//! What it promises: nothing is hashed and no field costs an allocation; names keep their case; what is known of a name is looked
//! up by number; what is written together goes out together. Values are what [`HeaderValue`] takes: whoever adds one has it from such
//! a type, from a parsed head, or made it of such octets. HTTP/2 has maps, so there are ways from and to a [`HeaderMap`].

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Name, NameSet, spare};

/// What stands between a name and its value, and what ends a line (RFC 9112, section 5).
pub(super) const COLON: &[u8] = b": ";
pub(super) const LINE_END: &[u8] = b"\r\n";

/// The fields of one head.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    /// Lines as HTTP/1.1 writes them; those of fields that were taken off, and others that are none, may lie between them.
    pub(super) lines: Vec<u8>,
    entries: Vec<Entry>,
    /// The names that are among them.
    present: NameSet,
}

/// A line. A head is far smaller than 4 GiB.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) name: Name,
    pub(super) start: u32,
    /// Where the name's text ends.
    pub(super) colon: u32,
    pub(super) end: u32,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'f> {
    /// What it is.
    pub name: Name,
    /// Its name as it came.
    pub text: &'f [u8],
    /// What it says.
    pub value: &'f [u8],
}

impl Entry {
    fn text<'f>(&self, lines: &'f [u8]) -> &'f [u8] {
        lines.get(self.start as usize..self.colon as usize).unwrap_or_default()
    }

    fn value<'f>(&self, lines: &'f [u8]) -> &'f [u8] {
        lines.get(self.colon as usize + COLON.len()..self.end as usize - LINE_END.len()).unwrap_or_default()
    }

    fn field<'f>(&self, lines: &'f [u8]) -> Field<'f> {
        Field { name: self.name, text: self.text(lines), value: self.value(lines) }
    }
}

impl Fields {
    /// None yet, with room for what is usual.
    pub fn new() -> Self {
        let (lines, entries) = spare::take();
        Self { lines, entries, present: NameSet::default() }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds one with a known name.
    pub fn push(&mut self, name: Name, value: impl AsRef<[u8]>) {
        self.push_named(name, name.text().as_bytes(), value.as_ref());
    }

    /// Adds one as it came.
    pub fn push_as(&mut self, text: &[u8], value: &[u8]) {
        self.push_named(Name::of(text), text, value);
    }

    /// Adds one as it came, whose name was recognised already.
    // No head comes near 4 GiB.
    #[allow(clippy::cast_possible_truncation)]
    pub fn push_named(&mut self, name: Name, text: &[u8], value: &[u8]) {
        let start = self.lines.len() as u32;
        let colon = start + text.len() as u32;
        let end = colon + (COLON.len() + value.len() + LINE_END.len()) as u32;
        self.lines.reserve((end - start) as usize);
        self.lines.extend_from_slice(text);
        self.lines.extend_from_slice(COLON);
        self.lines.extend_from_slice(value);
        self.lines.extend_from_slice(LINE_END);
        self.add(Entry { name, start, colon, end });
    }

    /// Adds one with a known name, whose value is what `write` writes.
    // No head comes near 4 GiB.
    #[allow(clippy::cast_possible_truncation)]
    pub fn push_with(&mut self, name: Name, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.lines.len() as u32;
        self.lines.extend_from_slice(name.text().as_bytes());
        let colon = self.lines.len() as u32;
        self.lines.extend_from_slice(COLON);
        write(&mut self.lines);
        self.lines.extend_from_slice(LINE_END);
        self.add(Entry { name, start, colon, end: self.lines.len() as u32 });
    }

    /// Adds one whose line is there already.
    pub(super) fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
        self.present.add(entry.name);
    }

    /// Adds all of another head.
    #[allow(clippy::cast_possible_truncation)]
    pub fn extend(&mut self, others: &Self) {
        let before = self.lines.len() as u32;
        self.lines.extend_from_slice(&others.lines);
        let moved =
            |entry: &Entry| Entry { name: entry.name, start: entry.start + before, colon: entry.colon + before, end: entry.end + before };
        self.entries.extend(others.entries.iter().map(moved));
        self.present = self.present.or(others.present);
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.entries.iter().map(|entry| entry.field(&self.lines))
    }

    /// Whether there is one of this name.
    pub const fn has(&self, name: Name) -> bool {
        self.present.has(name)
    }

    /// Whether there is one of any of these names.
    pub const fn has_any(&self, names: NameSet) -> bool {
        self.present.meets(names)
    }

    /// The first value of a name.
    pub fn get(&self, name: Name) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// All values of a name.
    pub fn all(&self, name: Name) -> impl DoubleEndedIterator<Item = &[u8]> {
        let entries = if self.has(name) { &self.entries[..] } else { &[] };
        entries.iter().filter(move |entry| entry.name == name).map(|entry| entry.value(&self.lines))
    }

    /// Takes all of a name off; whether there were any.
    pub fn remove(&mut self, name: Name) -> bool {
        self.remove_all(NameSet::of(&[name]))
    }

    /// Takes all of some names off; whether there were any.
    pub fn remove_all(&mut self, names: NameSet) -> bool {
        let are_there = self.present.meets(names);
        if are_there {
            self.entries.retain(|entry| !names.has(entry.name));
            self.present = self.present.without(names);
        }
        are_there
    }

    /// One of this name, in place of all others of it.
    pub fn set(&mut self, name: Name, value: impl AsRef<[u8]>) {
        self.remove(name);
        self.push(name, value);
    }

    /// Keeps those that `keeps` says.
    pub fn retain(&mut self, mut keeps: impl FnMut(Field<'_>) -> bool) {
        let Self { lines, entries, present } = self;
        *present = NameSet::default();
        entries.retain(|entry| {
            let kept = keeps(entry.field(lines));
            if kept {
                present.add(entry.name);
            }
            kept
        });
    }

    /// Writes their lines; those that lie side by side are copied together.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_without(NameSet::default(), out);
    }

    /// Likewise, without those of some names.
    pub fn write_without(&self, names: NameSet, out: &mut Vec<u8>) {
        let mut run = 0..0;
        for entry in self.entries.iter().filter(|entry| !names.has(entry.name)) {
            let (start, end) = (entry.start as usize, entry.end as usize);
            if start != run.end {
                out.extend_from_slice(self.lines.get(run).unwrap_or_default());
                run = start..start;
            }
            run.end = end;
        }
        out.extend_from_slice(self.lines.get(run).unwrap_or_default());
    }

    /// As a map, which takes each name in lower case. A field that is none is left out.
    pub fn to_map(&self) -> HeaderMap {
        // A copy, so that the room that the lines have serves the next head.
        let lines = Bytes::copy_from_slice(&self.lines);
        let mut map = HeaderMap::with_capacity(self.entries.len());
        for entry in &self.entries {
            let name = match entry.name.header() {
                Some(known) => Ok(known),
                None => HeaderName::from_bytes(entry.text(&lines)),
            };
            let value = entry.colon as usize + COLON.len()..entry.end as usize - LINE_END.len();
            if let (Ok(name), Ok(mut value)) = (name, HeaderValue::from_maybe_shared(lines.slice(value))) {
                // What is another each time is not worth a place in the table of an HTTP/2 connection (RFC 7541, section 6.2.2).
                value.set_sensitive(matches!(entry.name, Name::XRequestId | Name::RateLimit));
                map.append(name, value);
            }
        }
        map
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        spare::give(std::mem::take(&mut self.lines), std::mem::take(&mut self.entries));
    }
}

impl From<&HeaderMap> for Fields {
    fn from(map: &HeaderMap) -> Self {
        let mut fields = Self::new();
        for (name, value) in map {
            fields.push_as(name.as_str().as_bytes(), value.as_bytes());
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(fields: &Fields) -> Vec<String> {
        let text = |field: Field<'_>| format!("{}: {}", String::from_utf8_lossy(field.text), String::from_utf8_lossy(field.value));
        fields.iter().map(text).collect()
    }

    #[test]
    fn fields_keep_their_order_and_case_and_are_found_by_name() {
        let mut fields = Fields::new();
        fields.push_as(b"Host", b"a.test");
        fields.push_as(b"X-Other", b"");
        fields.push_as(b"COOKIE", b"a=1");
        fields.push(Name::Cookie, "b=2");
        assert_eq!(texts(&fields), ["Host: a.test", "X-Other: ", "COOKIE: a=1", "cookie: b=2"]);
        assert_eq!(fields.get(Name::Host), Some(&b"a.test"[..]));
        assert_eq!(fields.all(Name::Cookie).collect::<Vec<_>>(), [b"a=1", b"b=2"]);
        assert!(!fields.has(Name::Via) && fields.get(Name::Via).is_none());
        assert!(fields.remove(Name::Cookie) && !fields.remove(Name::Cookie));
        fields.set(Name::Host, "b.test");
        fields.set(Name::Via, "1.1 x");
        assert_eq!(texts(&fields), ["X-Other: ", "host: b.test", "via: 1.1 x"]);
        let mut written = Vec::new();
        fields.write(&mut written);
        assert_eq!(written, b"X-Other: \r\nhost: b.test\r\nvia: 1.1 x\r\n");
        let mut more = Fields::new();
        more.push(Name::Date, "now");
        more.extend(&fields);
        assert_eq!(texts(&more), ["date: now", "X-Other: ", "host: b.test", "via: 1.1 x"]);
        fields.retain(|field| field.name == Name::Other);
        assert_eq!(texts(&fields), ["X-Other: "]);
        assert!(!fields.has(Name::Host) && fields.has(Name::Other));
    }

    #[test]
    fn a_map_and_fields_say_the_same() {
        let mut fields = Fields::new();
        fields.push_as(b"Set-Cookie", b"a=1");
        fields.push_as(b"set-cookie", b"b=2");
        fields.push_as(b"X-Obs", b"\xe9");
        let map = fields.to_map();
        assert_eq!(map.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
        assert_eq!(map["x-obs"].as_bytes(), b"\xe9");
        assert_eq!(texts(&Fields::from(&map)).len(), 3);
    }
}
