//! A page with everything at its place, before it is written. Lengths are points; y runs down from the top.

use super::faces::Weight;
use crate::billing::document::sheet::Paper;

/// Pieces of text and lines at their places.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// Texts.
    pub texts: Vec<Text>,
    /// Lines.
    pub rules: Vec<Rule>,
    /// Frames.
    pub frames: Vec<Frame>,
}

/// A piece of text.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// Its left end.
    pub x: f32,
    /// Its baseline.
    pub y: f32,
    /// How wide it is.
    pub width: f32,
    /// How it looks.
    pub style: Style,
    /// What it says.
    pub text: String,
}

/// How a text looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Style {
    /// How heavy.
    pub weight: Weight,
    /// How large.
    pub size: f32,
    /// In which colour.
    pub ink: Ink,
}

/// A horizontal line.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its left end.
    pub x: f32,
    /// How far down.
    pub y: f32,
    /// How long.
    pub width: f32,
    /// In which colour.
    pub ink: Ink,
}

/// A frame around something.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Its left side.
    pub x: f32,
    /// Its upper side.
    pub y: f32,
    /// How wide.
    pub width: f32,
    /// How high.
    pub height: f32,
    /// In which colour.
    pub ink: Ink,
}

/// Colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// What is said.
    Black,
    /// What it is.
    Grey,
    /// Lines between rows.
    Pale,
    /// All is well.
    Green,
    /// It is not to be paid.
    Red,
}

impl Style {
    /// From the top of a line to the top of the next.
    pub const fn leading(&self) -> f32 {
        self.size * 1.4
    }

    /// From the top of a line to its baseline.
    pub const fn rise(&self) -> f32 {
        self.size * 1.08
    }
}

impl Ink {
    /// Red, green and blue, from 0 to 1.
    pub const fn rgb(self) -> [f32; 3] {
        match self {
            Self::Black => [0.1, 0.12, 0.14],
            Self::Grey => [0.36, 0.38, 0.4],
            Self::Pale => [0.87, 0.88, 0.89],
            Self::Green => [0.09, 0.41, 0.23],
            Self::Red => [0.64, 0.13, 0.13],
        }
    }
}

impl Paper {
    /// Width and height.
    pub const fn size(self) -> (f32, f32) {
        match self {
            Self::A4 => (595.0, 842.0),
            Self::Letter => (612.0, 792.0),
        }
    }
}
