//! What a tenant was told: thresholds of limits, each in its window. It spares the store a question at each change; the record
//! there makes sure that nobody tells one twice.

use std::collections::HashSet;

use crate::model::{Day, Month};

/// Thresholds that were told, in windows that may go on.
#[derive(Default)]
pub struct Told(HashSet<Crossing>);

/// A threshold that was reached in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Crossing {
    pub(super) resource: &'static str,
    pub(super) window: Window,
    pub(super) limit: u64,
    pub(super) percent: u64,
    /// Of a limit beyond which is billed: from here on calls are refused.
    pub(super) is_cap: bool,
}

/// In which a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Window {
    Day(Day),
    Month(Month),
}

impl Told {
    pub(super) fn has(&self, crossing: &Crossing) -> bool {
        self.0.contains(crossing)
    }

    pub(super) fn add(&mut self, crossing: Crossing) {
        self.0.insert(crossing);
    }

    /// Forgets windows that are over since a whole one.
    pub(super) fn forget_before(&mut self, today: Day) {
        self.0.retain(|crossing| match crossing.window {
            Window::Day(day) => day.0 >= today.0.saturating_sub(1),
            Window::Month(month) => month.next() >= today.month(),
        });
    }
}

impl Window {
    /// As events name it: `2026-11-30` or `2026-11`.
    pub(super) fn text(self) -> String {
        match self {
            Self::Day(day) => day.to_string(),
            Self::Month(month) => month.to_string(),
        }
    }
}
