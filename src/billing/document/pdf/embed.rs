//! A font in a file: the glyphs that the file uses, how wide they are, and which character each stands for.
//!
//! Each character that is used has a number of its own, also where the font lacks it: it is shown as a box then, and still is what
//! a reader searches for and copies.

use std::collections::BTreeMap;

use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Filter, Finish, Name, Pdf, Rect, Ref, Str};
use subsetter::GlyphRemapper;

use super::FontError;
use super::faces::Typeface;
use super::write::packed;

const SYSTEM: SystemInfo<'_> = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// The characters that a file uses of a font, numbered from 1.
pub struct Used {
    numbers: BTreeMap<char, u16>,
}

impl Used {
    /// Of these texts; the same ones give the same numbers.
    pub fn of<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let mut numbers: BTreeMap<char, u16> = texts.flat_map(str::chars).map(|character| (character, 0)).collect();
        for (number, place) in (1..u16::MAX).zip(numbers.values_mut()) {
            *place = number;
        }
        Self { numbers }
    }

    /// None of the font is used.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// A text in these numbers, two octets each.
    pub fn encode(&self, text: &str) -> Vec<u8> {
        text.chars().flat_map(|character| self.numbers.get(&character).copied().unwrap_or_default().to_be_bytes()).collect()
    }

    /// Writes the font under `id`; its parts get ids that `next` gives.
    pub fn write(&self, pdf: &mut Pdf, face: &Typeface, id: Ref, next: &mut impl FnMut() -> Ref) -> Result<(), FontError> {
        let [cid, descriptor, file, map, unicode] = std::array::from_fn(|_| next());
        let mut kept = GlyphRemapper::new();
        // Number 0 is what no text uses.
        let mut glyphs = vec![0, 0];
        for (character, _) in self.numbered() {
            glyphs.extend(kept.remap(face.glyph(character)).to_be_bytes());
        }
        let part =
            subsetter::subset(face.data, 0, &kept).map_err(|error| FontError::Whole { name: face.name, problem: error.to_string() })?;
        let name = self.name(face, &part);
        let name = Name(name.as_bytes());

        let mut font = pdf.type0_font(id);
        font.base_font(name).encoding_predefined(Name(b"Identity-H")).descendant_font(cid).to_unicode(unicode);
        font.finish();
        let mut font = pdf.cid_font(cid);
        font.subtype(CidFontType::Type2).base_font(name).system_info(SYSTEM).font_descriptor(descriptor).cid_to_gid_map_stream(map);
        font.default_width(0.0).widths().consecutive(1, self.numbered().map(|(character, _)| face.advance(character)));
        font.finish();
        describe(pdf, face, descriptor, name, file);
        pdf.stream(map, &packed(&glyphs)).filter(Filter::FlateDecode);
        let data = packed(&part);
        let mut stream = pdf.stream(file, &data);
        stream.filter(Filter::FlateDecode).pair(Name(b"Length1"), i32::try_from(part.len()).unwrap_or(i32::MAX));
        stream.finish();
        let mut characters = UnicodeCmap::<u16>::new(Name(b"Characters"), SYSTEM);
        for (character, number) in self.numbered() {
            characters.pair(number, character);
        }
        pdf.stream(unicode, &packed(&characters.finish())).filter(Filter::FlateDecode);
        Ok(())
    }

    fn numbered(&self) -> impl Iterator<Item = (char, u16)> {
        self.numbers.iter().map(|(character, number)| (*character, *number)).filter(|(_, number)| *number > 0)
    }

    /// The name of a part of a font begins with six letters that tell it from other parts.
    fn name(&self, face: &Typeface, part: &[u8]) -> String {
        let mut rest = crc32fast::hash(part);
        let mut name = String::new();
        for _ in 0..6 {
            name.push(char::from(b'A' + (rest % 26) as u8));
            rest /= 26;
        }
        format!("{name}+{}", face.name)
    }
}

fn describe(pdf: &mut Pdf, face: &Typeface, id: Ref, name: Name<'_>, file: Ref) {
    let of = |units: i16| face.thousandths(f32::from(units));
    let (font, bounds) = (&face.face, face.face.global_bounding_box());
    let mut descriptor = pdf.font_descriptor(id);
    descriptor.name(name).flags(FontFlags::SYMBOLIC).italic_angle(0.0).stem_v(if font.is_bold() { 140.0 } else { 80.0 });
    descriptor.bbox(Rect::new(of(bounds.x_min), of(bounds.y_min), of(bounds.x_max), of(bounds.y_max)));
    descriptor.ascent(of(font.ascender())).descent(of(font.descender())).cap_height(of(font.capital_height().unwrap_or(714)));
    descriptor.font_file2(file);
}
