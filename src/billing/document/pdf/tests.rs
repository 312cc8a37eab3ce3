//! How documents are laid out: nothing is cut off, nothing lies over something else, heads are repeated.

use std::collections::BTreeSet;

use super::compose::pages;
use super::faces::{Faces, Weight};
use super::page::{Page, Text};
use super::wrap::{set, wrap};
use crate::billing::document::invoice::sheet;
use crate::billing::document::samples::*;
use crate::billing::document::sheet::{Paper, Sheet};
use crate::model::invoice::*;
use crate::model::{Money, Party};

/// Everything that the pages of a sheet say, after it was seen that all of it has its place.
pub fn texts_of(sheet: &Sheet) -> BTreeSet<String> {
    let pages = laid(sheet);
    pages.into_iter().flat_map(|page| page.texts).map(|text| text.text).collect()
}

#[track_caller]
fn laid(sheet: &Sheet) -> Vec<Page> {
    let pages = pages(sheet, &Faces::load().unwrap());
    let (width, height) = sheet.paper.size();
    for page in &pages {
        for text in &page.texts {
            let inside = text.x >= 40.0 && text.x + text.width <= width - 40.0 && text.y >= 40.0 && text.y <= height - 30.0;
            assert!(inside, "out of the page: {text:?}");
        }
        assert_eq!(overlap(&page.texts), None);
    }
    pages
}

/// Two texts that lie over each other.
fn overlap(texts: &[Text]) -> Option<(Text, Text)> {
    let mut sorted: Vec<&Text> = texts.iter().filter(|text| text.width > 0.0).collect();
    sorted.sort_by(|one, other| one.y.total_cmp(&other.y));
    for (place, upper) in sorted.iter().enumerate() {
        let near = sorted[place + 1..].iter().take_while(|lower| lower.y - lower.style.size * 0.7 < upper.y);
        for lower in near {
            let apart = upper.x + upper.width <= lower.x + 0.1 || lower.x + lower.width <= upper.x + 0.1;
            if !apart {
                return Some(((*upper).clone(), (*lower).clone()));
            }
        }
    }
    None
}

fn says(page: &Page, what: &str) -> bool {
    page.texts.iter().any(|text| text.text == what)
}

#[test]
fn the_fonts_have_what_invoices_need() {
    let faces = Faces::load().unwrap();
    for weight in Weight::ALL {
        let face = faces.of(weight);
        let needed = "ÀçđĞıŁőßẞỆậΑωάᾧЁжђҐ€£¥₴₿§№‘“–—…×÷−\u{2011}\u{a0}\u{202f}";
        for character in needed.chars() {
            assert_ne!(face.glyph(character), 0, "{character}");
        }
        for character in "漢שع🚀".chars() {
            assert_eq!(face.glyph(character), 0, "{character}");
            assert!(face.advance(character) > 500.0, "its box is seen");
        }
        let digits: BTreeSet<u32> = ('0'..='9').map(|digit| face.advance(digit).to_bits()).collect();
        assert_eq!(digits.len(), 1, "digits stand below each other");
    }
}

#[test]
fn a_text_is_broken_between_words_or_within_long_ones_and_nothing_is_lost() {
    let faces = Faces::load().unwrap();
    let face = faces.of(Weight::Regular);
    let long = "x".repeat(500);
    let texts = [
        "",
        "one",
        "Ten more seats, from the first day of the month on which they were bought",
        long.as_str(),
        "a Donaudampfschifffahrtsgesellschaftskapitänsmütze b",
        "https://example.com/a-very-long/path/that/does/not/end-soon/at/all",
        "漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字",
        "zero  \u{300}\u{300}",
    ];
    for text in texts {
        for width in [30.0, 90.0, 500.0] {
            let lines = wrap(text, face, 9.0, width);
            assert!(lines.iter().all(|line| face.width(line, 9.0) <= width + 0.01), "{lines:?}");
            let plain = |text: &str| text.replace(' ', "");
            assert_eq!(plain(&lines.concat()), plain(&set(text)));
            assert!(text.is_empty() || lines.iter().all(|line| !line.is_empty()), "{lines:?}");
        }
    }
    assert_eq!(wrap("one two three", face, 10.0, 40.0), ["one two", "three"]);
    assert_eq!(wrap("2026-11-25 is a date", face, 10.0, 54.0)[0], "2026-11-25");
}

#[test]
fn marks_join_their_letters_and_what_has_no_shape_takes_no_place() {
    assert_eq!(set("e\u{301} A\u{328} \u{3b1}\u{301}"), "é Ą ά");
    assert_eq!(set("so\u{ad}ft a\u{200d}b\u{fe0f}\u{200f}"), "soft ab");
}

#[test]
fn many_lines_flow_over_pages_with_head_and_number_on_each() {
    let lines = (0..300).map(|number| priced(&format!("Line {number}"), 1, 100 + number)).collect();
    let pages = laid(&sheet(&invoice_of("USD", lines)));
    assert!(pages.len() > 8, "{}", pages.len());
    for (place, page) in pages.iter().enumerate() {
        assert!(says(page, &format!("Page {} of {}", place + 1, pages.len())));
        assert!(says(page, "Description") && says(page, "Amount") && says(page, "Invoice INV-000042"), "{place}");
    }
    let rows = pages.iter().flat_map(|page| &page.texts).filter(|text| text.text.starts_with("Line "));
    let rows: Vec<String> = rows.map(|text| text.text.clone()).collect();
    assert_eq!(rows, (0..300).map(|number| format!("Line {number}")).collect::<Vec<_>>());
}

#[test]
fn sums_are_not_parted_and_a_head_has_a_row_below_it() {
    for count in 1..60 {
        let mut invoice = invoice_of("USD", vec![priced("Plan", 1, 100); count]);
        invoice.standing.credit_notes = vec![note_of("CN-000001", 100, CreditOutcome::Balance)];
        let pages = laid(&sheet(&invoice));
        let of = |what: &str| pages.iter().position(|page| says(page, what)).unwrap();
        assert_eq!(of("Subtotal"), of("Amount due (USD)"), "{count} lines");
        assert_eq!(of("Credit notes on this invoice"), of("CN-000001"), "{count} lines");
        assert_eq!(of("Credit note"), of("CN-000001"), "{count} lines");
    }
}

#[test]
fn a_row_that_no_page_has_room_for_is_divided_between_its_lines() {
    let words: Vec<String> = (0..3000).map(|number| format!("word{number}")).collect();
    let mut invoice = invoice_of("USD", vec![priced("Plan", 1, 100), priced(&words.join(" "), 1, 12_345), priced("After", 1, 678)]);
    invoice.issued.customer = Party { address: words.clone(), ..Party::default() };
    let pages = laid(&sheet(&invoice));
    let said: Vec<&str> = pages.iter().flat_map(|page| &page.texts).flat_map(|text| text.text.split(' ')).collect();
    for word in &words {
        assert_eq!(said.iter().filter(|other| *other == word).count(), 2, "{word}");
    }
    assert!(said.contains(&"123.45") && said.contains(&"6.78"));
}

#[test]
fn the_largest_amounts_have_room_on_both_papers() {
    for (currency, country) in [("KWD", "DE"), ("JPY", "US"), ("USD", "US")] {
        let line = Line { unit_price: Money(i64::MIN), amount: Money(i64::MIN), quantity: u64::MAX, ..priced("Description", 1, 1) };
        let mut invoice = invoice_of(currency, vec![line]);
        invoice.issued.customer.country = Some(country.to_owned());
        let sheet = sheet(&invoice);
        assert_eq!(sheet.paper, if country == "US" { Paper::Letter } else { Paper::A4 });
        let said = texts_of(&sheet);
        for cell in &sheet.table.rows[0].cells {
            assert!(said.contains(cell), "{cell} was broken");
        }
    }
}
