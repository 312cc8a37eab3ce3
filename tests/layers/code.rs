//! Rust text as code alone: comments, texts and characters are blanked out, and words are found.

pub(crate) const fn is_word(it: char) -> bool {
    it.is_ascii_alphanumeric() || it == '_'
}

pub(crate) fn words(code: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut start = None;
    for (offset, it) in code.char_indices().chain(std::iter::once((code.len(), ' '))) {
        match (start, is_word(it)) {
            (None, true) => start = Some(offset),
            (Some(from), false) => {
                words.push((from, &code[from..offset]));
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// Blanks out comments, texts and characters, octet by octet, so that places stay where they are.
pub(crate) fn code_of(text: &str) -> String {
    let mut octets = text.as_bytes().to_vec();
    let mut at = 0;
    while at < octets.len() {
        let rest = &text.as_bytes()[at..];
        let after_word = at > 0 && is_word(text.as_bytes()[at - 1] as char);
        let length = if rest.starts_with(b"//") {
            rest.iter().position(|it| *it == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            comment_length(rest)
        } else if rest[0] == b'"' {
            text_length(rest)
        } else if let (false, Some(length)) = (after_word, raw_length(rest)) {
            length
        } else if rest[0] == b'\'' {
            character_length(text, at)
        } else {
            at += 1;
            continue;
        };
        for octet in &mut octets[at..at + length] {
            if *octet != b'\n' {
                *octet = b' ';
            }
        }
        at += length;
    }
    // Outside comments and texts Rust code here is ASCII; anything else becomes a blank of the same length.
    octets.iter().map(|octet| if octet.is_ascii() { *octet as char } else { ' ' }).collect()
}

fn comment_length(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    rest.len()
}

fn text_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`, `br"…"` and so on.
fn raw_length(rest: &[u8]) -> Option<usize> {
    let start = rest.iter().position(|it| *it != b'b' && *it != b'c').filter(|start| *start <= 1)?;
    let after = rest[start..].strip_prefix(b"r")?;
    let hashes = after.iter().take_while(|it| **it == b'#').count();
    let body = after[hashes..].strip_prefix(b"\"")?;
    let end = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let length = body.windows(end.len()).position(|it| it == end)?;
    Some(start + 1 + hashes + 1 + length + end.len())
}

/// `'x'` and `'\n'`; 1 for the quote of a lifetime.
fn character_length(text: &str, at: usize) -> usize {
    let mut rest = text[at + 1..].chars();
    match rest.next() {
        Some('\\') => text[at + 3..].find('\'').map_or(1, |length| length + 4),
        Some(it) if rest.next() == Some('\'') => 2 + it.len_utf8(),
        _ => 1,
    }
}
