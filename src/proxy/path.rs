//! The normalised path: one spelling for all paths that an app may read as the same, for policies to match on. The path
//! that is forwarded stays as the client sent it.

use std::borrow::Cow;

/// Percent-decodes once, drops `;` parameters, reads `\` as `/`, folds empty segments and resolves dot segments.
pub fn normalise(path: &str) -> Cow<'_, str> {
    let plain = !path.bytes().any(|byte| matches!(byte, b'%' | b';' | b'\\')) && !path.contains("//") && !path.contains("/.");
    if plain && path.starts_with('/') {
        return Cow::Borrowed(path);
    }
    let decoded = decode(path);
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for segment in decoded.split(['/', '\\']) {
        let name = segment.split(';').next().unwrap_or_default();
        ends_open = matches!(name, "" | "." | "..");
        match name {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(name),
        }
    }
    let mut out = String::with_capacity(decoded.len() + 1);
    for segment in &segments {
        out.push('/');
        out.push_str(segment);
    }
    if ends_open || segments.is_empty() {
        out.push('/');
    }
    Cow::Owned(out)
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
    fn different_spellings_of_a_path_become_one() {
        for spelling in ["/a/b", "/a//b", "/a/./b", "/x/../a/b", "/%61/b", "/a%2Fb", "/a\\b", "/a;x=1/b;y", "/../a/b", "/a/c/%2e%2e/b"] {
            assert_eq!(normalise(spelling), "/a/b", "{spelling}");
        }
        assert_eq!(normalise("/a/"), "/a/");
        assert_eq!(normalise("/a/b/.."), "/a/");
        assert_eq!(normalise("*"), "/*");
        assert_eq!(normalise("/%zz%"), "/%zz%");
        assert_eq!(normalise("/.."), "/");
    }
}
