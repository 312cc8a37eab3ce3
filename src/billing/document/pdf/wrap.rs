//! Texts broken into lines: between words where that works, within a word that is wider than its place, and nothing is lost.

use icu_normalizer::ComposingNormalizerBorrowed;

use super::faces::Typeface;

/// A text as it is set: letters and their marks as one character where there is such a one, and nothing that has no shape.
pub fn set(text: &str) -> String {
    let shaped: String = text.chars().filter(|character| !is_shapeless(*character)).collect();
    ComposingNormalizerBorrowed::new_nfc().normalize(&shaped).into_owned()
}

/// Lines of at most this width; at least one, and no line without a character where the text has one.
pub fn wrap(text: &str, face: &Typeface, size: f32, width: f32) -> Vec<String> {
    let text = set(text);
    let limit = width * 1000.0 / size;
    let mut lines = Vec::new();
    let mut line = Line::default();
    for piece in pieces(&text) {
        let wide: f32 = piece.trim_end_matches(' ').chars().map(|character| face.advance(character)).sum();
        if line.width + wide > limit && !line.text.is_empty() {
            lines.push(line.take());
        }
        if wide <= limit {
            line.push(piece, face);
            continue;
        }
        for character in piece.chars() {
            let breaks = line.width + face.advance(character) > limit && !line.text.is_empty();
            // A mark stays with its letter, and a space at the end takes no room.
            if breaks && face.advance(character) > 0.0 && character != ' ' {
                lines.push(line.take());
            }
            line.push_char(character, face);
        }
    }
    if !line.text.is_empty() || lines.is_empty() {
        lines.push(line.take());
    }
    lines
}

#[derive(Default)]
struct Line {
    text: String,
    width: f32,
}

impl Line {
    fn push(&mut self, piece: &str, face: &Typeface) {
        for character in piece.chars() {
            self.push_char(character, face);
        }
    }

    fn push_char(&mut self, character: char, face: &Typeface) {
        self.text.push(character);
        self.width += face.advance(character);
    }

    fn take(&mut self) -> String {
        let line = std::mem::take(self);
        line.text.trim_end_matches(' ').to_owned()
    }
}

/// Words with the spaces after them; a word also ends after a hyphen, a dash or a slash between letters.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut before) = (0, ' ');
    for (place, character) in text.char_indices() {
        let after_space = before == ' ' && character != ' ';
        let after_hyphen = matches!(before, '-' | '–' | '—' | '/') && character.is_alphabetic();
        if place > start && (after_space || after_hyphen) {
            pieces.push(&text[start..place]);
            start = place;
        }
        before = character;
    }
    pieces.push(&text[start..]);
    pieces
}

/// Characters that say how others are shown or broken: joiners, direction marks, soft hyphens, variants.
const fn is_shapeless(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2060}'..='\u{2064}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{e0100}'..='\u{e01ef}'
    )
}
