//! Text from the outside as logs and terminals may have it: nothing in it moves the cursor, ends a line or turns the direction of
//! writing.

use std::borrow::Cow;

/// The text, with an escape such as `\u{1b}` for each character that is not to be shown as it is: controls (C0, DEL and C1), line and
/// paragraph separators, marks that turn the direction.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_odd) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_odd(character) { shown.extend(character.escape_unicode()) } else { shown.push(character) }
    }
    Cow::Owned(shown)
}

fn is_odd(character: char) -> bool {
    character.is_control() || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_would_move_a_terminal_or_turn_a_line_is_shown_as_an_escape() {
        assert_eq!(plain("Zoë, 東京 🙂 \\n"), "Zoë, 東京 🙂 \\n");
        assert_eq!(plain("a\u{1b}[2Jb\r\nc\0\u{7f}\u{9b}1m"), "a\\u{1b}[2Jb\\u{d}\\u{a}c\\u{0}\\u{7f}\\u{9b}1m");
        assert_eq!(plain("\u{2028}\u{2029}\u{202e}\u{2066}\u{200f}"), "\\u{2028}\\u{2029}\\u{202e}\\u{2066}\\u{200f}");
    }
}
