//! Where a value was written, so that an error can point at it.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A text that values come from.
#[derive(Debug)]
pub(super) enum Source {
    /// The file that ships: a default.
    Shipped,
    /// A TOML file, by its name and text.
    File { name: String, text: String },
    /// A variable of the environment.
    Variable(String),
    /// A flag of the command line.
    Flag(String),
}

/// A place in a source; cheap to copy about.
#[derive(Debug, Clone)]
pub(super) struct Place {
    source: Arc<Source>,
    /// Octets from the start of the text; 0 outside files.
    offset: usize,
}

impl Place {
    pub(super) const fn new(source: Arc<Source>, offset: usize) -> Self {
        Self { source, offset }
    }

    /// True where nobody chose the value.
    pub(super) fn is_default(&self) -> bool {
        matches!(*self.source, Source::Shipped)
    }

    /// True where a variable of the environment holds the value.
    pub(super) fn is_variable(&self) -> bool {
        matches!(*self.source, Source::Variable(_))
    }

    /// Files first and from top to bottom, then the environment, then flags.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let rank = |place: &Self| match &*place.source {
            Source::Shipped | Source::File { .. } => (0, String::new(), place.offset),
            Source::Variable(name) => (1, name.clone(), 0),
            Source::Flag(name) => (2, name.clone(), 0),
        };
        rank(self).cmp(&rank(other))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.source {
            Source::File { name, text } => {
                let (line, column) = line_and_column(text, self.offset);
                write!(f, "{name}:{line}:{column}")
            }
            Source::Shipped => f.write_str("default"),
            Source::Variable(name) | Source::Flag(name) => f.write_str(name),
        }
    }
}

/// Both from 1; the column counts characters.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    // The offset is a character boundary, so this never falls back.
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
    (line, column)
}
