//! Readings of a path: servers differ in what they make of dots, escapes and doubled slashes, so a policy has to hold for each.
//! The path that is forwarded stays as the client sent it.

use std::borrow::Cow;

/// Every way in which an app may read the path: as it is; decoded, once (RFC 3986, section 2.4); also without `;` parameters and empty
/// segments; with dot segments resolved; without dots and spaces at the ends of segments, as Windows reads them; and up to a NUL.
/// Usually they are one.
pub fn readings(path: &str) -> Vec<Cow<'_, str>> {
    let mut readings = vec![Cow::Borrowed(path)];
    let plain = !path.bytes().any(|byte| matches!(byte, b'%' | b';' | b'\\')) && !["//", "/.", "./"].iter().any(|odd| path.contains(odd));
    if plain && path.starts_with('/') && !path.ends_with('.') {
        return readings;
    }
    let decoded = decode(path).replace('\\', "/");
    let whole = decoded.split('\0').next().unwrap_or_default().to_owned();
    let resolved = rejoin(&decoded, true);
    for reading in [rejoin(&decoded, false), bare(&resolved), resolved, decoded, whole] {
        if readings.iter().all(|known| **known != *reading) {
            readings.push(Cow::Owned(reading));
        }
    }
    readings
}

/// Drops `;` parameters and empty segments, and resolves dot segments where asked to.
fn rejoin(decoded: &str, resolve: bool) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for segment in decoded.split('/') {
        let name = segment.split(';').next().unwrap_or_default();
        ends_open = name.is_empty() || (resolve && matches!(name, "." | ".."));
        match name {
            "" => {}
            "." if resolve => {}
            ".." if resolve => drop(segments.pop()),
            _ => segments.push(name),
        }
    }
    let mut path = String::with_capacity(decoded.len() + 1);
    for segment in &segments {
        path.push('/');
        path.push_str(segment);
    }
    if ends_open || segments.is_empty() {
        path.push('/');
    }
    path
}

/// Without dots and white space at the ends of segments.
fn bare(path: &str) -> String {
    path.split('/').map(|segment| segment.trim_end_matches(['.', ' ', '\t'])).collect::<Vec<_>>().join("/")
}

/// Decodes `%XX` once; what is not a valid triplet stays.
fn decode(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|_| byte == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        let octet =
            digits.filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit())).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        out.push(octet.unwrap_or(byte));
        at += if octet.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_in_every_way_that_an_app_may_read_it() {
        assert_eq!(readings("/a/b"), ["/a/b"]);
        for spelling in ["/a//b", "/a/./b", "/x/../a/b", "/%61/b", "/a%2Fb", "/a\\b", "/a;x=1/b;y", "/../a/b", "/a/c/%2e%2e/b", "//a/b"] {
            let readings = readings(spelling);
            assert!(readings.contains(&Cow::Borrowed("/a/b")) && readings[0] == spelling, "{spelling}: {readings:?}");
        }
        // An app that resolves nothing serves the first part, one that does serves the rest.
        assert_eq!(readings("/a/%2e%2e/b"), ["/a/%2e%2e/b", "/a/../b", "/b"]);
        assert_eq!(readings("/a/..;/b"), ["/a/..;/b", "/a/../b", "/b"]);
        assert_eq!(readings("/a/"), ["/a/"]);
        assert_eq!(readings("*"), ["*", "/*"]);
        assert_eq!(readings("/%zz%"), ["/%zz%"]);
        assert_eq!(readings("/.."), ["/..", "/"]);
        assert!(readings("/a%00.png").contains(&Cow::Borrowed("/a")));
        for spelling in ["/a.", "/a%20", "/a./", "/a%2e%20./", "/a%09"] {
            let found = readings(spelling);
            assert!(found.iter().any(|reading| reading.trim_end_matches('/') == "/a"), "{spelling}: {found:?}");
        }
        assert!(!readings("/%2561").contains(&Cow::Borrowed("/a")));
    }
}
