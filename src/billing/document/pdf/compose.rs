//! A sheet laid out: what stands where, from the heading to the notes.

use super::faces::{Faces, Weight};
use super::flow::{Cell, Flow, Strip};
use super::page::{Ink, Page, Style};
use super::table;
use super::wrap::{set, wrap};
use crate::billing::document::sheet::{Mark, Sheet, Sum};
use crate::model::InvoiceStatus;

const TEXT: Style = Style { weight: Weight::Regular, size: 9.0, ink: Ink::Black };
const STRONG: Style = Style { weight: Weight::Bold, ..TEXT };
const LABEL: Style = Style { ink: Ink::Grey, ..TEXT };
const SMALL: Style = Style { size: 8.0, ..LABEL };
const HEADING: Style = Style { weight: Weight::Bold, size: 20.0, ink: Ink::Black };
const HEADLINE: Style = Style { weight: Weight::Bold, size: 13.0, ink: Ink::Black };
const FOOT: Style = Style { size: 7.5, ..LABEL };

/// The pages of a sheet.
pub fn pages(sheet: &Sheet, faces: &Faces) -> Vec<Page> {
    let composer = Composer { faces };
    let mut flow = Flow::new(sheet.paper, faces);
    composer.top(&mut flow, sheet);
    composer.parties(&mut flow, sheet);
    let width = flow.width();
    let title = Strip { above: 22.0, below: 12.0, ..composer.line(&sheet.headline, HEADLINE, width) };
    table::put(&mut flow, title, &sheet.table, faces);
    flow.put_together(composer.sums(&sheet.sums, width));
    if let Some(notes) = &sheet.credit_notes {
        let title = Strip { above: 26.0, below: 6.0, ..composer.line(notes.caption, STRONG, width) };
        table::put(&mut flow, title, notes, faces);
    }
    for (place, note) in sheet.notes.iter().enumerate() {
        flow.put(Strip { above: if place == 0 { 26.0 } else { 6.0 }, ..composer.line(note, TEXT, width) });
    }
    flow.finish(&set(&sheet.title()), FOOT)
}

struct Composer<'f> {
    faces: &'f Faces,
}

impl Composer<'_> {
    fn lines(&self, text: &str, style: Style, width: f32) -> Vec<(String, Style)> {
        wrap(text, self.faces.of(style.weight), style.size, width).into_iter().map(|line| (line, style)).collect()
    }

    /// A text over the whole width.
    fn line(&self, text: &str, style: Style, width: f32) -> Strip {
        Strip { cells: vec![Cell::left(0.0, width, self.lines(text, style, width))], ..Strip::default() }
    }

    /// What it is, whether it is settled, and its dates.
    fn top(&self, flow: &mut Flow<'_>, sheet: &Sheet) {
        let (width, label) = (flow.width(), 110.0);
        let mut heading = self.line(sheet.heading, HEADING, width);
        heading.cells.extend(sheet.mark.as_ref().map(|mark| self.stamp(mark, width)));
        flow.put(Strip { below: 8.0, ..heading });
        for (place, (name, value)) in sheet.facts.iter().enumerate() {
            let style = if place == 0 { STRONG } else { TEXT };
            let cells = vec![
                Cell::left(0.0, label, self.lines(name, LABEL, label)),
                Cell::left(label, width - label, self.lines(value, style, width - label)),
            ];
            flow.put(Strip { cells, ..Strip::default() });
        }
    }

    fn stamp(&self, mark: &Mark, width: f32) -> Cell {
        let ink = match mark.status {
            InvoiceStatus::Paid => Ink::Green,
            InvoiceStatus::Void | InvoiceStatus::Uncollectible => Ink::Red,
            InvoiceStatus::Draft | InvoiceStatus::Open => Ink::Grey,
        };
        let since = mark.since.as_ref().map(|date| format!("  {date}")).unwrap_or_default();
        let style = Style { weight: Weight::Bold, size: 11.0, ink };
        let lines = vec![(format!("{}{since}", mark.word.to_uppercase()), style)];
        Cell { is_framed: true, ..Cell::right(0.0, width - 8.0, lines) }
    }

    /// Seller and customer side by side.
    fn parties(&self, flow: &mut Flow<'_>, sheet: &Sheet) {
        let gap = 24.0;
        let width = (flow.width() - gap) / 2.0;
        let cells = sheet.parties.iter().enumerate().map(|(column, block)| {
            let mut lines = vec![(block.heading.to_owned(), SMALL)];
            for (place, line) in block.lines.iter().enumerate() {
                lines.extend(self.lines(line, if place == 0 { STRONG } else { TEXT }, width));
            }
            Cell::left(column as f32 * (width + gap), width, lines)
        });
        flow.put(Strip { cells: cells.collect(), above: 20.0, ..Strip::default() });
    }

    /// The right half below the table.
    fn sums(&self, sums: &[Sum], width: f32) -> Vec<Strip> {
        let style_of = |sum: &Sum| if sum.is_total { STRONG } else { TEXT };
        let amounts = sums.iter().map(|sum| self.faces.of(style_of(sum).weight).width(&sum.amount, TEXT.size));
        let wide = amounts.fold(0.0, f32::max) + 0.01;
        let from = width * 0.42;
        let label = width - from - wide - 14.0;
        let strips = sums.iter().enumerate().map(|(place, sum)| {
            let style = style_of(sum);
            let mut told = self.lines(&sum.label, style, label);
            told.extend(sum.detail.iter().flat_map(|detail| self.lines(detail, SMALL, label)));
            let amount = vec![(sum.amount.clone(), style)];
            let rule = (from, if sum.is_total { Ink::Grey } else { Ink::Pale });
            let cells = vec![Cell::left(from, label, told), Cell::right(width - wide, wide, amount)];
            Strip { cells, above: if place == 0 { 10.0 } else { 4.0 }, below: 4.0, rule: Some(rule) }
        });
        strips.collect()
    }
}
