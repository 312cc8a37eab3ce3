//! Pages as a file. Nothing in it depends on when or where it is written.

use aws_lc_rs::digest::{SHA256, digest};
use miniz_oxide::deflate::compress_to_vec_zlib;
use pdf_writer::{Content, Date, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

use super::FontError;
use super::embed::Used;
use super::faces::{Faces, Weight};
use super::page::{Ink, Page};
use crate::billing::document::sheet::Sheet;
use crate::model::Millis;

const HAIRLINE: f32 = 0.6;

/// Writes the pages of a sheet.
pub fn file(sheet: &Sheet, pages: &[Page], faces: &Faces) -> Result<Vec<u8>, FontError> {
    let mut last = 0;
    let mut next = || {
        last += 1;
        Ref::new(last)
    };
    let (catalog, tree, info) = (next(), next(), next());
    let ids: Vec<(Ref, Ref)> = pages.iter().map(|_| (next(), next())).collect();
    let fonts: Vec<(Weight, Used, Ref)> = Weight::ALL
        .into_iter()
        .map(|weight| {
            let texts = pages.iter().flat_map(|page| &page.texts).filter(|text| text.style.weight == weight);
            (weight, Used::of(texts.map(|text| text.text.as_str())), next())
        })
        .filter(|(_, used, _)| !used.is_empty())
        .collect();

    let mut pdf = Pdf::new();
    let mut root = pdf.catalog(catalog);
    root.pages(tree).lang(TextStr("en"));
    root.viewer_preferences().display_doc_title(true);
    root.finish();
    describe(&mut pdf, sheet, info);
    pdf.pages(tree).kids(ids.iter().map(|(page, _)| *page)).count(i32::try_from(pages.len()).unwrap_or(i32::MAX));
    let (width, height) = sheet.paper.size();
    for (page, (id, content)) in pages.iter().zip(ids) {
        let mut written = pdf.page(id);
        written.parent(tree).media_box(Rect::new(0.0, 0.0, width, height)).contents(content);
        let mut resources = written.resources();
        let mut names = resources.fonts();
        for (weight, _, font) in &fonts {
            names.pair(name(*weight), *font);
        }
        names.finish();
        resources.finish();
        written.finish();
        pdf.stream(content, &packed(&drawn(page, height, &fonts))).filter(Filter::FlateDecode);
    }
    for (weight, used, id) in &fonts {
        used.write(&mut pdf, faces.of(*weight), *id, &mut next)?;
    }
    let content = digest(&SHA256, pdf.as_bytes()).as_ref()[..16].to_vec();
    pdf.set_file_id((sheet.id.to_vec(), content));
    Ok(pdf.finish())
}

/// Compressed, as a stream in a file.
pub fn packed(octets: &[u8]) -> Vec<u8> {
    compress_to_vec_zlib(octets, 6)
}

fn describe(pdf: &mut Pdf, sheet: &Sheet, id: Ref) {
    let title = sheet.title();
    let mut info = pdf.document_info(id);
    info.title(TextStr(&title)).producer(TextStr("gatehouse"));
    if let Some(seller) = sheet.parties[0].lines.first() {
        info.author(TextStr(seller));
    }
    if let Some(date) = written(sheet.issued_at) {
        info.creation_date(date);
    }
}

/// The day of issue, where the format has a place for its year.
fn written(moment: Millis) -> Option<Date> {
    let (year, month, day) = moment.day().civil();
    let year = u16::try_from(year).ok().filter(|year| *year < 10_000)?;
    Some(Date::new(year).month(month).day(day).hour(0).minute(0).second(0).utc_offset_hour(0).utc_offset_minute(0))
}

const fn name(weight: Weight) -> Name<'static> {
    match weight {
        Weight::Regular => Name(b"R"),
        Weight::Bold => Name(b"B"),
    }
}

/// The marks on a page, in the order in which it is read; the format counts y from the bottom.
fn drawn(page: &Page, height: f32, fonts: &[(Weight, Used, Ref)]) -> Vec<u8> {
    let mut content = Content::new();
    content.set_line_width(HAIRLINE);
    for rule in &page.rules {
        stroke(&mut content, rule.ink);
        content.move_to(rule.x, height - rule.y).line_to(rule.x + rule.width, height - rule.y).stroke();
    }
    for frame in &page.frames {
        stroke(&mut content, frame.ink);
        content.rect(frame.x, height - frame.y - frame.height, frame.width, frame.height).stroke();
    }
    content.begin_text();
    for text in &page.texts {
        let Some((_, used, _)) = fonts.iter().find(|(weight, ..)| *weight == text.style.weight) else { continue };
        let [red, green, blue] = text.style.ink.rgb();
        content.set_font(name(text.style.weight), text.style.size).set_fill_rgb(red, green, blue);
        content.set_text_matrix([1.0, 0.0, 0.0, 1.0, text.x, height - text.y]).show(Str(&used.encode(&text.text)));
    }
    content.end_text();
    content.finish().into_vec()
}

fn stroke(content: &mut Content, ink: Ink) {
    let [red, green, blue] = ink.rgb();
    content.set_stroke_rgb(red, green, blue);
}
