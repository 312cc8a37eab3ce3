//! A sheet as PDF: laid out on pages, with the fonts in it, so that it looks the same and can be searched everywhere.

mod compose;
mod embed;
mod faces;
mod flow;
mod page;
mod table;
#[cfg(test)]
mod tests;
mod wrap;
mod write;

#[cfg(test)]
pub use tests::texts_of;

use super::sheet::Sheet;
use faces::Faces;

/// A font that is part of the program cannot be used. No invoice can cause it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FontError {
    /// It cannot be read.
    #[error("the font {name} cannot be read: {problem}")]
    Unreadable {
        /// Which.
        name: &'static str,
        /// As its reader says it.
        problem: String,
    },
    /// The part of it that a document needs cannot be taken out.
    #[error("the font {name} cannot be made smaller: {problem}")]
    Whole {
        /// Which.
        name: &'static str,
        /// As the one who takes it out says it.
        problem: String,
    },
}

/// The file.
pub fn file(sheet: &Sheet) -> Result<Vec<u8>, FontError> {
    let faces = Faces::load()?;
    let pages = compose::pages(sheet, &faces);
    write::file(sheet, &pages, &faces)
}
