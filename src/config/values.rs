//! Readers of single values: from what was written to a type that cannot be wrong, or why not.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use ipnet::IpNet;
use secrecy::SecretString;

use super::source::Place;
use super::suggest::did_you_mean;
use super::tree::{Node, Value};
use super::units;
use crate::model::{Host, Money, Origin};

/// Why a value is refused, each reason with its place.
pub(super) struct Wrong(pub Vec<(Place, String)>);

type Read<T> = Result<T, Wrong>;

impl Wrong {
    pub(super) fn at(node: &Node, problem: impl Into<String>) -> Self {
        Self(vec![(node.place.clone(), problem.into())])
    }
}

/// `expected …, found …`, at the value.
pub(super) fn expected(what: &str, node: &Node) -> Wrong {
    guessing(what, node, "")
}

/// The same with a suggestion.
fn guessing(what: &str, node: &Node, hint: &str) -> Wrong {
    Wrong::at(node, format!("expected {what}, found {}{hint}", found(node)))
}

fn found(node: &Node) -> String {
    match &node.value {
        Value::Text(text) | Value::Untyped(text) => {
            let short: String = text.chars().take(60).flat_map(char::escape_debug).collect();
            format!("\"{short}\"{}", if text.chars().count() > 60 { "…" } else { "" })
        }
        Value::Number(number) => number.chars().take(40).collect(),
        Value::Flag(flag) => flag.to_string(),
        Value::Date(date) => format!("the date {date}"),
        Value::List(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    }
}

/// Any text.
pub(super) fn text(node: &Node) -> Read<&str> {
    match &node.value {
        Value::Text(text) | Value::Untyped(text) => Ok(text),
        _ => Err(expected("text in quotes", node)),
    }
}

/// Text that a function of the model reads; its error says what is wrong.
pub(super) fn parsed<T, E: ToString>(node: &Node, read: impl FnOnce(&str) -> Result<T, E>) -> Read<T> {
    read(text(node)?).map_err(|error| Wrong::at(node, error.to_string()))
}

/// `None` where the text is empty.
pub(super) fn unless_empty<T>(node: &Node, read: impl FnOnce(&Node) -> Read<T>) -> Read<Option<T>> {
    if matches!(&node.value, Value::Text(text) | Value::Untyped(text) if text.trim().is_empty()) { Ok(None) } else { read(node).map(Some) }
}

/// A secret; no error ever shows it.
pub(super) fn secret(node: &Node) -> Read<Option<SecretString>> {
    let text = text(node).map_err(|_| Wrong::at(node, "expected text in quotes"))?.trim();
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Wrong::at(node, "expected visible ASCII characters without spaces, as only those can be sent in a header"));
    }
    Ok((!text.is_empty()).then(|| SecretString::from(text)))
}

/// `true` or `false`.
pub(super) fn switch(node: &Node) -> Read<bool> {
    match &node.value {
        Value::Flag(flag) => Ok(*flag),
        Value::Untyped(text) if matches!(text.to_ascii_lowercase().as_str(), "true" | "1") => Ok(true),
        Value::Untyped(text) if matches!(text.to_ascii_lowercase().as_str(), "false" | "0") => Ok(false),
        _ => Err(expected("true or false", node)),
    }
}

/// One of a few words.
pub(super) fn choice<T: Copy>(node: &Node, known: &[(&str, T)]) -> Read<T> {
    let words: Vec<String> = known.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let wrong = |hint: &str| guessing(&words.join(" or "), node, hint);
    let text = text(node).map_err(|_| wrong(""))?;
    let chosen = known.iter().find(|(word, _)| *word == text);
    chosen.map(|(_, it)| *it).ok_or_else(|| wrong(&did_you_mean(text, known.iter().map(|(word, _)| *word))))
}

/// A whole number in a range.
pub(super) fn whole<T>(node: &Node, range: RangeInclusive<T>) -> Read<T>
where
    T: TryFrom<u64> + PartialOrd + std::fmt::Display,
{
    let (least, most) = (range.start(), range.end());
    let number = match &node.value {
        Value::Number(digits) | Value::Untyped(digits) => digits.parse::<u64>().ok(),
        _ => None,
    };
    let number = number.and_then(|number| T::try_from(number).ok()).filter(|number| range.contains(number));
    number.ok_or_else(|| expected(&format!("a whole number from {least} to {most}"), node))
}

/// Octets.
pub(super) fn size(node: &Node) -> Read<u64> {
    let size = match &node.value {
        Value::Text(text) | Value::Number(text) | Value::Untyped(text) => units::size(text),
        _ => None,
    };
    size.ok_or_else(|| expected("a size such as \"10MiB\", \"1GB\" or whole octets", node))
}

/// Octets in a range.
pub(super) fn size_within(node: &Node, range: RangeInclusive<u64>, words: &str) -> Read<u64> {
    let size = size(node)?;
    if range.contains(&size) { Ok(size) } else { Err(expected(&format!("a size {words}"), node)) }
}

/// A limit by a reader of its number; `None` is `"unlimited"`.
pub(super) fn limit<T>(node: &Node, what: &str, read: impl FnOnce(&Node) -> Read<T>) -> Read<Option<T>> {
    let text = match &node.value {
        Value::Text(text) | Value::Untyped(text) => text.as_str(),
        _ => "",
    };
    if text == "unlimited" {
        return Ok(None);
    }
    let hint = || did_you_mean(text, std::iter::once("unlimited"));
    read(node).map(Some).map_err(|_| guessing(&format!("{what} or \"unlimited\""), node, &hint()))
}

/// Octets in a range, or `u64::MAX` for `"unlimited"`.
pub(super) fn most(node: &Node, range: RangeInclusive<u64>, words: &str) -> Read<u64> {
    Ok(limit(node, words, |node| size_within(node, range, words))?.unwrap_or(u64::MAX))
}

/// A time longer than nothing.
pub(super) fn duration(node: &Node) -> Read<Duration> {
    let length = duration_or_none(node)?;
    if length.is_zero() { Err(expected("a duration longer than 0, such as \"30s\"", node)) } else { Ok(length) }
}

/// A time, also none at all.
pub(super) fn duration_or_none(node: &Node) -> Read<Duration> {
    let wrong = || expected("a duration such as \"500ms\", \"30s\", \"2m\", \"1h\" or \"1d\"", node);
    units::duration(text(node).map_err(|_| wrong())?).ok_or_else(wrong)
}

/// A price in minor units.
pub(super) fn price(node: &Node, currency: &str) -> Read<Money> {
    match &node.value {
        Value::Number(digits) | Value::Text(digits) | Value::Untyped(digits) => {
            Money::parse(digits, currency).map_err(|error| Wrong::at(node, format!("expected a price, found {error}")))
        }
        _ => Err(expected("a price such as 99 or 99.00", node)),
    }
}

/// An address with a port.
pub(super) fn address(node: &Node) -> Read<SocketAddr> {
    let wrong = || expected("an address with a port such as \"127.0.0.1:8080\" or \"[::]:8080\"", node);
    text(node).map_err(|_| wrong())?.trim().parse().map_err(|_| wrong())
}

/// A network, or an address as the network of one host.
pub(super) fn network(node: &Node) -> Read<IpNet> {
    let wrong = || expected("a network such as \"10.0.0.0/8\" or an address", node);
    let text = text(node).map_err(|_| wrong())?.trim();
    let host = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().map(|net| net.trunc()).or_else(|_| host()).map_err(|_| wrong())
}

/// A host name.
pub(super) fn host(node: &Node) -> Read<Host> {
    parsed(node, |text| Host::parse(text.trim()))
}

/// Scheme, host and port.
pub(super) fn origin(node: &Node) -> Read<Origin> {
    parsed(node, Origin::parse)
}

/// A path that is not empty.
pub(super) fn path(node: &Node) -> Read<PathBuf> {
    let path = text(node)?;
    if path.is_empty() || path.contains('\0') { Err(expected("a path", node)) } else { Ok(PathBuf::from(path)) }
}

/// A method, in capitals.
pub(super) fn method(node: &Node) -> Read<Method> {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let text = text(node)?;
    let capitals = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    let hint = if KNOWN.contains(&text) { String::new() } else { did_you_mean(text, KNOWN.into_iter()) };
    let served = !matches!(text, "CONNECT" | "TRACE");
    let method = Method::from_bytes(text.as_bytes()).ok().filter(|_| capitals && served && hint.is_empty());
    method.ok_or_else(|| guessing("a method such as \"GET\"", node, &hint))
}

/// A list; one value that is no list counts as a list of it, and a variable is split at its commas.
pub(super) fn one_or_more<T>(node: &Node, read: impl Fn(&Node) -> Read<T>) -> Read<Vec<T>> {
    match &node.value {
        Value::List(_) | Value::Untyped(_) => list(node, read),
        _ => Ok(vec![read(node)?]),
    }
}

/// A list; a variable is split at its commas.
pub(super) fn list<T>(node: &Node, read: impl Fn(&Node) -> Read<T>) -> Read<Vec<T>> {
    match &node.value {
        Value::List(items) => all(items.iter().map(read)),
        Value::Untyped(text) if text.starts_with('[') && text.ends_with(']') => {
            Err(expected("a list as TOML writes it, or comma separated", node))
        }
        Value::Untyped(text) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            all(parts.map(|part| read(&Node { value: Value::Untyped(part.to_owned()), place: node.place.clone() })))
        }
        _ => Err(expected("a list", node)),
    }
}

/// Every value, or every reason.
fn all<T>(items: impl Iterator<Item = Read<T>>) -> Read<Vec<T>> {
    let (mut values, mut wrongs) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Ok(value) => values.push(value),
            Err(Wrong(mut reasons)) => wrongs.append(&mut reasons),
        }
    }
    if wrongs.is_empty() { Ok(values) } else { Err(Wrong(wrongs)) }
}
