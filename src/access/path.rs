//! Readings of a path: servers differ in what they make of dots, escapes and doubled slashes, so a policy has to hold for each.
//! The path that is forwarded stays as the client sent it.

use std::borrow::Cow;

/// Every way in which an app may read the path. Usually they are one.
///
/// Apps and the servers in front of them do some of these and leave out others, in their own order: they decode once (RFC 3986,
/// section 2.4) or dots alone, take `\` for `/`, drop `;` parameters and empty segments, resolve dot segments, read what follows `//`
/// as a host, drop dots and white space at the ends of segments as Windows does, and end at a NUL, `?` or `#` that was encoded. Each
/// combination is a reading. Not among them: decoding twice, and case beyond ASCII.
pub fn readings(path: &str) -> Vec<Cow<'_, str>> {
    let mut found = Readings(vec![Cow::Borrowed(path)]);
    let odd = path.bytes().any(|byte| matches!(byte, b'%' | b';' | b'\\')) || ["//", "/.", "./"].iter().any(|odd| path.contains(odd));
    if path.starts_with('/') && !odd && !path.ends_with('.') {
        return found.0;
    }
    for decoded in [path.to_owned(), decode(path, b"."), decode(path, &[])] {
        let whole = decoded.split(['\0', '?', '#']).next().unwrap_or_default().to_owned();
        for text in [decoded, whole] {
            found.add_all(&text);
            found.add_all(&text.replace('\\', "/"));
        }
    }
    found.0
}

struct Readings<'p>(Vec<Cow<'p, str>>);

impl Readings<'_> {
    /// A text, and what follows a host in front of it.
    fn add_all(&mut self, text: &str) {
        self.add_rewritten(text);
        if let Some((_, path)) = text.strip_prefix("//").and_then(|rest| rest.find('/').map(|at| rest.split_at(at))) {
            self.add_rewritten(path);
        }
    }

    fn add_rewritten(&mut self, text: &str) {
        for text in [text.to_owned(), without_parameters(text), trimmed(text)] {
            for text in [merged(&text), text] {
                let resolved = resolved(&text);
                for reading in [bare(&resolved), merged(&resolved), resolved, text] {
                    self.add(reading);
                }
            }
        }
    }

    fn add(&mut self, reading: String) {
        let reading = if reading.starts_with('/') { reading } else { format!("/{reading}") };
        if self.0.iter().all(|known| **known != *reading) {
            self.0.push(Cow::Owned(reading));
        }
    }
}

/// Without what follows a `;` in each segment.
fn without_parameters(path: &str) -> String {
    path.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect::<Vec<_>>().join("/")
}

/// Without empty segments, but for one at the end.
fn merged(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 1);
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        out.push('/');
        out.push_str(segment);
    }
    if path.ends_with('/') || out.is_empty() {
        out.push('/');
    }
    out
}

/// With dot segments resolved (RFC 3986, section 5.2.4); an empty segment is one.
fn resolved(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        ends_open = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len() + 1);
    for segment in &segments {
        out.push('/');
        out.push_str(segment);
    }
    if ends_open || segments.is_empty() {
        out.push('/');
    }
    out
}

/// Without dots and white space at the ends of segments.
fn bare(path: &str) -> String {
    path.split('/').map(|segment| segment.trim_end_matches(|letter| letter == '.' || is_blank(letter))).collect::<Vec<_>>().join("/")
}

/// Without white space at the ends of segments, so that `.. ` is `..`.
fn trimmed(path: &str) -> String {
    path.split('/').map(|segment| segment.trim_end_matches(is_blank)).collect::<Vec<_>>().join("/")
}

/// White space, control characters, and what stands for octets that are no text.
fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || letter == char::REPLACEMENT_CHARACTER
}

/// Decodes `%XX` once, of all octets or of those of `only`; what is not a valid triplet stays.
fn decode(path: &str, only: &[u8]) -> String {
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|_| byte == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        let octet =
            digits.filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit())).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let octet = octet.filter(|octet| only.is_empty() || only.contains(octet));
        out.push(octet.unwrap_or(byte));
        at += if octet.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_tricks_is_read_in_one_way() {
        for path in ["/a/b", "/a/", "/", "/a-b/c_d.json", "/A"] {
            assert_eq!(readings(path), [path]);
        }
    }

    #[test]
    fn a_path_is_read_in_every_way_that_an_app_may_read_it() {
        for spelling in [
            "/a//b",
            "/a/./b",
            "/x/../a/b",
            "/%61/b",
            "/a%2Fb",
            "/a\\b",
            "/a;x=1/b;y",
            "/../a/b",
            "/a/c/%2e%2e/b",
            "//a/b",
            "//host/a/b",
            "/\\host/a/b",
            "/./a//../b",
            "/./a/..;/../b",
            "/./a/c%2f../../b",
            "/./a/..%5c../../b",
            "/x/../a/b%00c",
            "/a/b.",
            "/a%20/b",
            "/a./b",
            "/a/b%2e%20",
            "/a%09/b",
            "/%2e/a/b",
            "/x/.%2e/a/b",
            "/a/b%0a",
            "/a%0d/b",
            "/a/b%c2%a0",
            "/a/b%a0",
            "/x/..%20/a/b",
            "/a/b%3fx",
            "/a/b%23x",
        ] {
            let readings = readings(spelling);
            assert!(readings.contains(&Cow::Borrowed("/a/b")) && readings[0] == spelling, "{spelling}: {readings:?}");
        }
        // An app that resolves nothing serves the first part, one that does serves the rest.
        for spelling in ["/a/%2e%2e/b", "/a/..;/b", "/a/../b"] {
            for reading in ["/a/../b", "/b"] {
                assert!(readings(spelling).contains(&Cow::Borrowed(reading)), "{spelling}: {:?}", readings(spelling));
            }
        }
        assert!(!readings("/%2561").contains(&Cow::Borrowed("/a")), "it is decoded once");
        assert!(readings("*").contains(&Cow::Borrowed("/*")));
        assert!(readings("/..").contains(&Cow::Borrowed("/")));
        assert_eq!(readings("/%zz%"), ["/%zz%"]);
    }

    #[test]
    fn a_long_path_of_tricks_has_a_bounded_number_of_readings() {
        let path = "/..;%2f%5c/./a%00//\\".repeat(400);
        assert!(readings(&path).len() < 250, "{}", readings(&path).len());
    }
}
