//! `[events]`: what the operator's own systems are told of, where, and how often it is tried.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretSlice};

use super::section::Section;
use super::suggest::did_you_mean;
use super::tree::{Node, Value};
use super::values::{Wrong, duration, expected, list, secret, switch, text};
use crate::model::EventType;

/// More endpoints than anybody has; a delivery to each is kept with each event.
const MOST_ENDPOINTS: usize = 32;
/// Attempts are not repeated for ever.
const MOST_RETRIES: usize = 50;
/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// Octets of a secret (Standard Webhooks: between 24 and 64).
const SECRET_OCTETS: std::ops::RangeInclusive<usize> = 24..=64;

/// Events to the operator's systems.
#[derive(Debug, Clone)]
pub struct Events {
    /// Waits after the first failed attempt, the second and so on; after the last of them it has failed for good.
    pub retry: Vec<Duration>,
    /// For one attempt, from the look-up of the name to the head of the answer.
    pub timeout: Duration,
    /// Whether endpoints may be at private addresses.
    pub allow_private: bool,
    /// Where events are sent, by name.
    pub endpoints: Vec<EventEndpoint>,
}

/// A system that is told.
#[derive(Debug, Clone)]
pub struct EventEndpoint {
    /// Its name in the API, logs and metrics.
    pub name: String,
    /// Where it listens: http or https.
    pub url: url::Url,
    /// Each of them signs; never empty.
    pub keys: Vec<SecretSlice<u8>>,
    /// What it wants to hear of.
    pub events: Vec<EventType>,
}

/// Reads the table.
pub(super) fn read(section: &Section<'_>) -> Option<Events> {
    let retry = section.read("retry", |node| {
        let waits = list(node, duration)?;
        if waits.len() <= MOST_RETRIES { Ok(waits) } else { Err(expected(&format!("at most {MOST_RETRIES} waits"), node)) }
    });
    let timeout = section.read("timeout", duration);
    let allow_private = section.read("allow_private", switch);
    // Where it cannot be read, it is that which is told, and nothing that follows from it.
    let may_be_clear = allow_private.unwrap_or(true);
    let endpoints = section.section("endpoint").and_then(|below| endpoints(&below, may_be_clear));
    section.finish();
    Some(Events { retry: retry?, timeout: timeout?, allow_private: allow_private?, endpoints: endpoints? })
}

fn endpoints(below: &Section<'_>, may_be_clear: bool) -> Option<Vec<EventEndpoint>> {
    let each = below.each();
    if let Some((name, _)) = each.get(MOST_ENDPOINTS) {
        below.refuse(name, format!("there are more than {MOST_ENDPOINTS} endpoints"));
    }
    // Collected twice, so that every endpoint is read before the first wrong one ends it.
    let read = |(name, section): &(&str, Option<Section<'_>>)| {
        let is_good = is_name(name);
        if !is_good {
            below.refuse(name, "an endpoint's name has 1 to 40 lower-case letters, digits, `-` and `_`");
        }
        section.as_ref().and_then(|section| endpoint(name, section, may_be_clear)).filter(|_| is_good)
    };
    let endpoints: Vec<Option<EventEndpoint>> = each.iter().map(read).collect();
    endpoints.into_iter().collect()
}

fn endpoint(name: &str, section: &Section<'_>, may_be_clear: bool) -> Option<EventEndpoint> {
    let url = section.read("url", url);
    let first = section.maybe("secret", key);
    let more = section.maybe("secrets", |node| list(node, key));
    let events = section.maybe("events", |node| list(node, pattern));
    section.finish();
    if let Some(url) = &url
        && url.scheme() == "http"
        && !may_be_clear
    {
        let problem =
            "in clear it could be read and changed on its way: use https, or http to a private address with events.allow_private = true";
        section.refuse("url", problem);
    }
    let (first, more) = (first?.flatten(), more?.unwrap_or_default());
    let keys: Vec<SecretSlice<u8>> = first.into_iter().chain(more.into_iter().flatten()).collect();
    if keys.is_empty() {
        let variable = format!("GATEHOUSE_EVENTS__ENDPOINT__{}__SECRET", name.to_uppercase().replace('-', "_"));
        section.refuse(
            "secret",
            format!("events are signed: give a secret such as `whsec_$(openssl rand -base64 32)`, here or in {variable}"),
        );
    }
    let mut events = events?.map_or_else(|| EventType::ALL.to_vec(), |patterns| patterns.concat());
    events.sort();
    events.dedup();
    if events.is_empty() {
        section.refuse("events", "an endpoint that wants no event is of no use; leave `events` out for all of them");
    }
    Some(EventEndpoint { name: name.to_owned(), url: url?, keys, events })
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (1..=40).contains(&text.len()) && text.bytes().all(plain)
}

fn url(node: &Node) -> Result<url::Url, Wrong> {
    let wrong = || expected("a URL such as \"https://crm.example.com/hooks\"", node);
    let url = url::Url::parse(text(node)?.trim()).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || url.port_or_known_default() == Some(0) {
        return Err(wrong());
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        // Not shown: it may have a password in it.
        return Err(Wrong::at(node, "a URL without user name, password and `#` is expected; events are signed, which says who sends them"));
    }
    Ok(url)
}

/// The octets behind a secret. It is not shown where it is wrong: it may be one with a slip in it.
fn key(node: &Node) -> Result<Option<SecretSlice<u8>>, Wrong> {
    let Some(text) = secret(node)? else { return Ok(None) };
    let wrong = |what: String| Wrong::at(node, format!("expected `whsec_` and 24 to 64 octets in base64; {what}"));
    let coded = text.expose_secret().strip_prefix(PREFIX).ok_or_else(|| wrong("it does not begin with `whsec_`".to_owned()))?;
    let octets = STANDARD.decode(coded).map_err(|_| wrong("what follows is no base64".to_owned()))?;
    if SECRET_OCTETS.contains(&octets.len()) {
        Ok(Some(SecretSlice::from(octets)))
    } else {
        Err(wrong(format!("this has {} octets", octets.len())))
    }
}

/// `*`, a type, or all types of a group: `tenant.*`.
fn pattern(node: &Node) -> Result<Vec<EventType>, Wrong> {
    let wanted = match &node.value {
        Value::Text(text) | Value::Untyped(text) => text.trim(),
        _ => return Err(expected("an event type such as \"invoice.paid\"", node)),
    };
    let admits = |kind: &EventType| match wanted.strip_suffix('*') {
        Some(start) => (start.is_empty() || start.ends_with('.')) && kind.as_str().starts_with(start),
        None => kind.as_str() == wanted,
    };
    let found: Vec<EventType> = EventType::ALL.into_iter().filter(admits).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let groups = ["*", "tenant.*", "subscription.*", "invoice.*", "usage.*", "domain.*"];
    let hint = did_you_mean(wanted, EventType::ALL.into_iter().map(EventType::as_str).chain(groups));
    let shown: String = wanted.chars().take(60).flat_map(char::escape_debug).collect();
    let hint = if hint.is_empty() { "; one is named like \"invoice.paid\", \"tenant.*\" or \"*\"".to_owned() } else { hint };
    Err(Wrong::at(node, format!("there is no event type \"{shown}\"{hint}")))
}
