//! Settings before they have types: a tree in which each value knows where it was written.
//!
//! Typed readers come later ([`super::section`]); a tree is what files, the environment and flags are merged as.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problems;
use super::source::{Place, Source};

/// Deeper than any key.
const MAX_DEPTH: usize = 8;

/// A value and its place.
#[derive(Clone)]
pub(super) struct Node {
    pub value: Value,
    pub place: Place,
}

/// A value as it was written.
#[derive(Clone)]
pub(super) enum Value {
    Text(String),
    /// The digits as written, so that no price passes through a float.
    Number(String),
    Flag(bool),
    Date(String),
    List(Vec<Node>),
    Table(Table),
    /// From the environment or a flag: what it is, the reader of the key decides.
    Untyped(String),
}

/// A table by key.
#[derive(Clone, Default)]
pub(super) struct Table(pub BTreeMap<String, Entry>);

/// A key's place and its value.
#[derive(Clone)]
pub(super) struct Entry {
    pub key: Place,
    pub node: Node,
}

impl Table {
    /// Reads a TOML text; syntax errors go to `problems`, and what could be understood all the same is answered.
    pub(super) fn parse(source: &Arc<Source>, text: &str, problems: &Problems) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let start = error.span().map_or(0, |span| span.start);
            let message = error.message().trim_end_matches(", expected nothing");
            let hint = if message.contains("invalid") { " (a text needs quotes)" } else { "" };
            problems.add(&Place::new(Arc::clone(source), start), "", format!("not TOML: {message}{hint}"));
        }
        table_of(source, table.get_ref())
    }

    /// Lays `other` over this table: tables merge, everything else is replaced.
    pub(super) fn merge(&mut self, other: Self) {
        for (key, entry) in other.0 {
            match (self.0.get_mut(&key), entry) {
                (
                    Some(Entry { node: Node { value: Value::Table(mine), .. }, .. }),
                    Entry { node: Node { value: Value::Table(theirs), .. }, .. },
                ) => {
                    mine.merge(theirs);
                }
                (_, entry) => {
                    self.0.insert(key, entry);
                }
            }
        }
    }

    /// Sets a value from the environment or a flag at a path.
    pub(super) fn set(&mut self, path: &[String], text: &str, source: &Arc<Source>, problems: &Problems) {
        let place = Place::new(Arc::clone(source), 0);
        if path.len() > MAX_DEPTH || path.iter().any(String::is_empty) {
            return problems.add(&place, "", "no such key; one is named like listen.http or GATEHOUSE_LISTEN__HTTP");
        }
        self.put(path, untyped(source, text), &place);
    }

    /// Makes tables on the way.
    fn put(&mut self, path: &[String], value: Value, place: &Place) {
        let Some((key, rest)) = path.split_first() else { return };
        let key = self.spelling_of(key);
        if rest.is_empty() {
            let mut top = Self::default();
            top.0.insert(key, Entry { key: place.clone(), node: Node { value, place: place.clone() } });
            return self.merge(top);
        }
        let below = || Entry { key: place.clone(), node: Node { value: Value::Table(Self::default()), place: place.clone() } };
        let entry = self.0.entry(key).or_insert_with(below);
        if !matches!(entry.node.value, Value::Table(_)) {
            *entry = below();
        }
        if let Value::Table(table) = &mut entry.node.value {
            table.put(rest, value, place);
        }
    }

    /// A variable cannot have a hyphen in its name, so `BIG_TEAM` finds the plan `big-team`.
    fn spelling_of(&self, key: &str) -> String {
        let hyphenated = || self.0.keys().find(|name| name.replace('-', "_") == key);
        if self.0.contains_key(key) { key.to_owned() } else { hyphenated().cloned().unwrap_or_else(|| key.to_owned()) }
    }
}

/// What a variable or flag holds: TOML where it is a list or table, else text whose type the key decides.
fn untyped(source: &Arc<Source>, text: &str) -> Value {
    let text = text.trim();
    if text.starts_with(['[', '{'])
        && let Ok(value) = DeValue::parse(text)
    {
        return value_of(source, &value);
    }
    Value::Untyped(text.to_owned())
}

fn table_of(source: &Arc<Source>, table: &DeTable<'_>) -> Table {
    let entry = |key: &Spanned<_>, value: &Spanned<DeValue<'_>>| Entry { key: place(source, key), node: node_of(source, value) };
    Table(table.iter().map(|(key, value)| (key.get_ref().to_string(), entry(key, value))).collect())
}

fn node_of(source: &Arc<Source>, value: &Spanned<DeValue<'_>>) -> Node {
    Node { value: value_of(source, value), place: place(source, value) }
}

/// Its recursion is bounded by the parser's own limit on nesting (80).
fn value_of(source: &Arc<Source>, value: &Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Value::Number(number.as_str().to_owned()),
        DeValue::Integer(number) => {
            Value::Number(i128::from_str_radix(number.as_str(), number.radix()).map_or_else(|_| number.to_string(), |it| it.to_string()))
        }
        DeValue::Float(number) => Value::Number(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(list) => Value::List(list.iter().map(|item| node_of(source, item)).collect()),
        DeValue::Table(table) => Value::Table(table_of(source, table)),
    }
}

fn place<T>(source: &Arc<Source>, spanned: &Spanned<T>) -> Place {
    Place::new(Arc::clone(source), spanned.span().start)
}
