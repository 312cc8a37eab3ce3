//! Numbers without gaps: drawn by the commit that uses them, and written into its records by the store, because only the
//! store knows at that moment which one is next.

use aws_lc_rs::rand;

use crate::model::hex;

/// The next number of a sequence, to be drawn by a commit.
#[derive(Debug, Clone)]
pub struct Draw {
    /// Each sequence begins at 1.
    pub sequence: String,
    /// What stands for the number in the values of the commit's records and audit rows.
    stands_for: Option<String>,
    /// Digits that it is written with, or more.
    digits: usize,
}

impl Draw {
    /// The next number of `sequence`; [`Committed::numbers`](super::Committed::numbers) tells it.
    pub fn of(sequence: impl Into<String>) -> Self {
        Self { sequence: sequence.into(), stands_for: None, digits: 1 }
    }

    /// The same, and what the values of the commit are to have where the number belongs, which is written with at least so many
    /// digits. Nobody can guess it, so that no text from the outside is taken for it.
    pub fn written(sequence: impl Into<String>, digits: usize) -> (Self, String) {
        let mut random = [0_u8; 16];
        // Without randomness, TLS would not work either; a text of zeros would still be replaced only in this commit.
        let _ = rand::fill(&mut random);
        let mark = hex(&random);
        (Self { sequence: sequence.into(), stands_for: Some(mark.clone()), digits }, mark)
    }

    /// The number as it is written.
    pub fn text(&self, number: u64) -> String {
        format!("{number:0digits$}", digits = self.digits)
    }

    /// Writes the number into the values that are to have it.
    pub(super) fn write<'a>(&self, number: u64, values: impl Iterator<Item = &'a mut Vec<u8>>) {
        let Some(mark) = &self.stands_for else { return };
        let text = self.text(number);
        let finder = memchr::memmem::Finder::new(mark.as_bytes());
        for value in values {
            let mut from = 0;
            while let Some(found) = value.get(from..).and_then(|rest| finder.find(rest)) {
                let at = from + found;
                value.splice(at..at + mark.len(), text.bytes());
                from = at + text.len();
            }
        }
    }
}

impl From<&str> for Draw {
    fn from(sequence: &str) -> Self {
        Self::of(sequence)
    }
}
