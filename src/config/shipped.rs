//! The shipped `config.toml`: the documentation of every key, and itself the source of every default.

use std::sync::Arc;

use super::error::Problems;
use super::source::Source;
use super::tree::{Table, Value};

/// The file as it ships.
pub(super) const TEXT: &str = include_str!("../../config.toml");

/// Its settings. A test holds that they have no problem.
pub(super) fn tree(problems: &Problems) -> Table {
    Table::parse(&Arc::new(Source::Shipped), TEXT, problems)
}

/// The table at the top that has a key, for a key that was written elsewhere.
pub(super) fn home_of(key: &str) -> Option<String> {
    let tree = tree(&Problems::default());
    let has = |value: &Value| matches!(value, Value::Table(table) if table.0.contains_key(key));
    tree.0.iter().find(|(_, entry)| has(&entry.node.value)).map(|(name, _)| name.clone())
}
