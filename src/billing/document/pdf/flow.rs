//! Strips put one below the other over as many pages as they need. A strip moves to the next page whole where it fits there, and is
//! divided between its lines where no page has room for it.

use super::faces::Faces;
use super::page::{Frame, Ink, Page, Rule, Style, Text};
use crate::billing::document::sheet::Paper;

const SIDE: f32 = 48.0;
const TOP: f32 = 48.0;
const BOTTOM: f32 = 64.0;
const FOOT: f32 = 36.0;

/// What stands side by side.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Strip {
    /// From left to right.
    pub cells: Vec<Cell>,
    /// Room above, unless it is the first on its page.
    pub above: f32,
    /// Room below.
    pub below: f32,
    /// A line below it, from here to the right margin.
    pub rule: Option<(f32, Ink)>,
}

/// Lines below each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// From the left margin.
    pub x: f32,
    /// How wide.
    pub width: f32,
    /// Lines end at the right end.
    pub is_right: bool,
    /// Each with how it looks; none is wider than the cell.
    pub lines: Vec<(String, Style)>,
    /// There is a frame around it.
    pub is_framed: bool,
}

/// Pages as they fill.
pub struct Flow<'f> {
    faces: &'f Faces,
    paper: Paper,
    pages: Vec<Page>,
    y: f32,
    is_fresh: bool,
    head: Option<Strip>,
}

impl Cell {
    /// Lines that begin at the left end.
    pub const fn left(x: f32, width: f32, lines: Vec<(String, Style)>) -> Self {
        Self { x, width, is_right: false, lines, is_framed: false }
    }

    /// Lines that end at the right end.
    pub const fn right(x: f32, width: f32, lines: Vec<(String, Style)>) -> Self {
        Self { x, width, is_right: true, lines, is_framed: false }
    }

    fn height(&self) -> f32 {
        self.lines.iter().map(|(_, style)| style.leading()).sum()
    }

    /// The lines that fit into this height; they are taken out.
    fn take(&mut self, height: f32) -> Self {
        let mut used = 0.0;
        let fitting = self.lines.iter().take_while(|(_, style)| {
            used += style.leading();
            used <= height
        });
        let rest = self.lines.split_off(fitting.count());
        Self { lines: std::mem::replace(&mut self.lines, rest), ..*self }
    }
}

impl Strip {
    fn height(&self) -> f32 {
        self.cells.iter().map(Cell::height).fold(0.0, f32::max) + self.below
    }

    fn is_empty(&self) -> bool {
        self.cells.iter().all(|cell| cell.lines.is_empty())
    }
}

impl<'f> Flow<'f> {
    /// An empty page.
    pub fn new(paper: Paper, faces: &'f Faces) -> Self {
        Self { faces, paper, pages: vec![Page::default()], y: TOP, is_fresh: true, head: None }
    }

    /// Between the margins.
    pub fn width(&self) -> f32 {
        self.paper.size().0 - 2.0 * SIDE
    }

    /// Puts the head of a table, here and at the top of each page that begins before `end_table`.
    pub fn begin_table(&mut self, head: Strip) {
        self.put(head.clone());
        self.head = Some(head);
    }

    /// The table is over.
    pub fn end_table(&mut self) {
        self.head = None;
    }

    /// Puts strips on one page where one has room for all of them.
    pub fn put_together(&mut self, strips: Vec<Strip>) {
        self.make_room(&strips.iter().collect::<Vec<_>>());
        for strip in strips {
            self.put(strip);
        }
    }

    /// Begins a page where strips that belong together have no room on this one, and have it there.
    pub fn make_room(&mut self, strips: &[&Strip]) {
        let height: f32 = strips.iter().map(|strip| strip.above + strip.height()).sum();
        if height > self.room() && height <= self.whole() {
            self.turn();
        }
    }

    /// Puts a strip below the last one.
    pub fn put(&mut self, mut strip: Strip) {
        loop {
            // The head of a table is always above its rows.
            let least = if self.head.is_some() { strip.above } else { 0.0 };
            let above = if self.is_fresh { least } else { strip.above };
            let height = strip.height();
            if above + height <= self.room() {
                self.y += above;
                self.draw(&strip);
                self.y += height;
                return;
            }
            if !self.is_fresh && least + height <= self.whole() {
                self.turn();
                continue;
            }
            let room = self.room() - above;
            let cells = strip.cells.iter_mut().map(|cell| cell.take(room)).collect();
            let part = Strip { cells, above, below: 0.0, rule: None };
            if part.is_empty() && self.is_fresh {
                // Not even a line fits below the head: it stands over the margin rather than nowhere.
                self.draw(&strip);
                self.y += height;
                return;
            }
            self.y += above;
            self.draw(&part);
            self.turn();
        }
    }

    /// The pages, each with its foot.
    pub fn finish(mut self, title: &str, style: Style) -> Vec<Page> {
        let (wide, high) = self.paper.size();
        let count = self.pages.len();
        let face = self.faces.of(style.weight);
        for (place, page) in self.pages.iter_mut().enumerate() {
            let number = format!("Page {} of {count}", place + 1);
            let width = face.width(&number, style.size);
            let x = wide - SIDE - width;
            page.texts.push(Text { x, y: high - FOOT, width, style, text: number });
            let width = face.width(title, style.size);
            if SIDE + width + style.size < x {
                page.texts.push(Text { x: SIDE, y: high - FOOT, width, style, text: title.to_owned() });
            }
        }
        self.pages
    }

    fn bottom(&self) -> f32 {
        self.paper.size().1 - BOTTOM
    }

    fn room(&self) -> f32 {
        self.bottom() - self.y
    }

    /// The room of a page that begins now.
    fn whole(&self) -> f32 {
        self.bottom() - TOP - self.head.as_ref().map_or(0.0, Strip::height)
    }

    fn turn(&mut self) {
        self.pages.push(Page::default());
        self.y = TOP;
        if let Some(head) = self.head.take() {
            self.draw(&head);
            self.y += head.height();
            self.head = Some(head);
        }
        self.is_fresh = true;
    }

    fn draw(&mut self, strip: &Strip) {
        let width = self.width();
        let Some(page) = self.pages.last_mut() else { return };
        for cell in &strip.cells {
            let mut y = self.y;
            let mut widest = 0.0_f32;
            for (text, style) in &cell.lines {
                let width = self.faces.of(style.weight).width(text, style.size);
                let x = SIDE + cell.x + if cell.is_right { cell.width - width } else { 0.0 };
                page.texts.push(Text { x, y: y + style.rise(), width, style: *style, text: text.clone() });
                y += style.leading();
                widest = widest.max(width);
            }
            if let (true, Some((_, style))) = (cell.is_framed, cell.lines.first()) {
                let x = SIDE + cell.x + cell.width - widest - 7.0;
                page.frames.push(Frame { x, y: self.y - 3.0, width: widest + 14.0, height: y - self.y + 6.0, ink: style.ink });
            }
        }
        if let Some((from, ink)) = strip.rule {
            page.rules.push(Rule { x: SIDE + from, y: self.y + strip.height(), width: width - from, ink });
        }
        self.is_fresh = false;
    }
}
