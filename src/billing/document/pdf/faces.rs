//! The fonts that documents are set in, and how wide their characters are.

use ttf_parser::{Face, GlyphId};

use super::FontError;

/// How heavy a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Most of it.
    Regular,
    /// Names of things, and totals.
    Bold,
}

/// Both fonts.
pub struct Faces {
    regular: Typeface,
    bold: Typeface,
}

/// A font.
pub struct Typeface {
    /// Its name.
    pub name: &'static str,
    /// The file.
    pub data: &'static [u8],
    /// The same, read.
    pub face: Face<'static>,
}

impl Weight {
    /// Every weight.
    pub const ALL: [Self; 2] = [Self::Regular, Self::Bold];
}

impl Faces {
    /// Reads what is part of the program.
    pub fn load() -> Result<Self, FontError> {
        Ok(Self {
            regular: Typeface::read("NotoSans-Regular", include_bytes!("fonts/NotoSans-Regular.ttf"))?,
            bold: Typeface::read("NotoSans-Bold", include_bytes!("fonts/NotoSans-Bold.ttf"))?,
        })
    }

    /// The font of a weight.
    pub const fn of(&self, weight: Weight) -> &Typeface {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }
}

impl Typeface {
    fn read(name: &'static str, data: &'static [u8]) -> Result<Self, FontError> {
        let face = Face::parse(data, 0).map_err(|error| FontError::Unreadable { name, problem: error.to_string() })?;
        Ok(Self { name, data, face })
    }

    /// The glyph of a character; 0, which is a box, where the font has none.
    pub fn glyph(&self, character: char) -> u16 {
        let found = self.face.glyph_index(character).or_else(|| self.face.glyph_index(stand_in(character)?));
        found.map_or(0, |glyph| glyph.0)
    }

    /// How wide a character is, in thousandths of the size.
    pub fn advance(&self, character: char) -> f32 {
        let units = self.face.glyph_hor_advance(GlyphId(self.glyph(character))).unwrap_or_default();
        self.thousandths(f32::from(units))
    }

    /// How wide a text is in some size.
    pub fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|character| self.advance(character)).sum::<f32>() * size / 1000.0
    }

    /// A length of the font, in thousandths of the size.
    pub fn thousandths(&self, units: f32) -> f32 {
        units * 1000.0 / f32::from(self.face.units_per_em())
    }
}

/// What looks like a character that the font lacks.
const fn stand_in(character: char) -> Option<char> {
    match character {
        '−' => Some('–'),
        '\u{2007}' | '\u{202f}' => Some('\u{a0}'),
        _ => None,
    }
}
