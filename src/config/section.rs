//! Reads a table key by key and keeps count: what is missing, wrong or unknown is told, all of it at once.

use std::cell::RefCell;

use super::error::Problems;
use super::shipped::home_of;
use super::source::Place;
use super::suggest::did_you_mean;
use super::tree::{Node, Table, Value};
use super::values::{Wrong, expected};

/// A table being read.
pub(super) struct Section<'a> {
    /// Dotted, such as `plans.pro`; empty at the top.
    path: String,
    /// Where the table was written.
    pub place: Place,
    table: &'a Table,
    asked: RefCell<Vec<&'static str>>,
    pub problems: &'a Problems,
}

impl<'a> Section<'a> {
    pub(super) const fn new(path: String, place: Place, table: &'a Table, problems: &'a Problems) -> Self {
        Self { path, place, table, asked: RefCell::new(Vec::new()), problems }
    }

    /// The value of a key, read by `read`; `None` after the problem was told.
    pub(super) fn read<T>(&self, key: &'static str, read: impl FnOnce(&Node) -> Result<T, Wrong>) -> Option<T> {
        match self.find(key) {
            Some(node) => self.judge(key, read(node)),
            None => self.missing(key),
        }
    }

    /// The same for a key that may be left out; `Some(None)` where it is.
    pub(super) fn maybe<T>(&self, key: &'static str, read: impl FnOnce(&Node) -> Result<T, Wrong>) -> Option<Option<T>> {
        self.find(key).map_or(Some(None), |node| self.judge(key, read(node)).map(Some))
    }

    /// A table below this one.
    pub(super) fn section(&self, key: &'static str) -> Option<Section<'a>> {
        let node = self.find(key).or_else(|| self.missing(key))?;
        self.below(key, node, node.place.clone())
    }

    /// Every entry of this table as a table of its own, where any name is a key.
    pub(super) fn each(&self) -> Vec<(&'a str, Option<Section<'a>>)> {
        let entries = self.table.0.iter();
        entries.map(|(name, entry)| (name.as_str(), self.below(name, &entry.node, entry.key.clone()))).collect()
    }

    /// Each item of a list of tables.
    pub(super) fn tables(&self, key: &'static str) -> Option<Vec<Option<Section<'a>>>> {
        let node = self.find(key).or_else(|| self.missing(key))?;
        let Value::List(items) = &node.value else {
            self.judge::<()>(key, Err(expected("a list of tables", node)));
            return None;
        };
        let below = |(index, item): (usize, &'a Node)| self.below(&format!("{key}[{index}]"), item, item.place.clone());
        Some(items.iter().enumerate().map(below).collect())
    }

    /// Tells of a problem with a key's value that only shows beside other values.
    pub(super) fn refuse(&self, key: &str, problem: impl Into<String>) {
        self.problems.add(self.place_of(key), self.dotted(key), problem);
    }

    /// Where a key's value was written.
    pub(super) fn place_of(&self, key: &str) -> &Place {
        self.table.0.get(key).map_or(&self.place, |entry| &entry.node.place)
    }

    /// Tells of every key that nobody asked for.
    pub(super) fn finish(&self) {
        let asked = self.asked.borrow();
        for (key, entry) in self.table.0.iter().filter(|(key, _)| !asked.contains(&key.as_str())) {
            let mut hint = did_you_mean(key, asked.iter().copied());
            if hint.is_empty()
                && let Some(home) = home_of(key)
            {
                hint = format!("; `{key}` belongs in [{home}]");
            }
            self.problems.add(&entry.key, "", format!("unknown key `{}`{hint}", shown(&self.dotted(key))));
        }
    }

    /// The key as an error names it.
    pub(super) fn dotted(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn find(&self, key: &'static str) -> Option<&'a Node> {
        self.asked.borrow_mut().push(key);
        self.table.0.get(key).map(|entry| &entry.node)
    }

    fn below(&self, key: &str, node: &'a Node, place: Place) -> Option<Section<'a>> {
        match &node.value {
            Value::Table(table) => Some(Section::new(self.dotted(key), place, table, self.problems)),
            _ => {
                self.judge::<()>(key, Err(expected("a table", node)));
                None
            }
        }
    }

    fn judge<T>(&self, key: &str, result: Result<T, Wrong>) -> Option<T> {
        let tell = |Wrong(reasons)| {
            for (place, problem) in reasons {
                self.problems.add(&place, shown(&self.dotted(key)), problem);
            }
        };
        result.map_err(tell).ok()
    }

    fn missing<T>(&self, key: &str) -> Option<T> {
        self.problems.add(&self.place, &self.path, format!("`{key}` is missing"));
        None
    }
}

/// A key from the outside, short and on one line.
fn shown(key: &str) -> String {
    key.chars().take(120).flat_map(char::escape_debug).collect()
}
