//! Names of hosts: a normalised host name, and the label a tenant has under the base domain.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A host name in lower case, without trailing dot or port; also a bracketless IP address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host(String);

/// Why a text is no host name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing there.
    #[error("the host is empty")]
    Empty,
    /// More than 253 octets, or a label of more than 63.
    #[error("`{0}` is longer than DNS allows (253 characters, 63 a label)")]
    TooLong(String),
    /// A character or an empty label that DNS host names do not have.
    #[error("`{0}` is not a host name: labels are letters, digits and inner hyphens")]
    BadLabel(String),
    /// One label, an IP address or `localhost` where a domain of a customer is meant.
    #[error("`{0}` is not a domain that a customer can own; write one like `acme.com`")]
    NotADomain(String),
}

impl Host {
    /// Reads a host name: case and one trailing dot do not matter; letters outside ASCII are converted (UTS 46).
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let ascii = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            url::Host::parse(text).map_err(|_| HostError::BadLabel(text.to_owned()))?.to_string()
        };
        let name = ascii.strip_suffix('.').unwrap_or(&ascii);
        if name.is_empty() {
            return Err(HostError::Empty);
        }
        if name.len() > 253 || name.split('.').any(|label| label.len() > 63) {
            return Err(HostError::TooLong(name.chars().take(80).collect()));
        }
        let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        if address.parse::<IpAddr>().is_ok() {
            return Ok(Self(address.to_owned()));
        }
        if name.split('.').all(is_label) { Ok(Self(name.to_owned())) } else { Err(HostError::BadLabel(name.to_owned())) }
    }

    /// Reads a domain that a customer can own: at least two labels, not an address.
    pub fn parse_domain(text: &str) -> Result<Self, HostError> {
        let host = Self::parse(text)?;
        let name = host.as_str();
        let last = name.rsplit('.').next().unwrap_or(name);
        let numeric = last.bytes().all(|byte| byte.is_ascii_digit());
        if !name.contains('.') || numeric || name.parse::<IpAddr>().is_ok() {
            return Err(HostError::NotADomain(name.to_owned()));
        }
        Ok(host)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True where this name is `parent` or lies below it.
    pub fn is_within(&self, parent: &Host) -> bool {
        self == parent || self.label_under(parent).is_some()
    }

    /// What stands before `.parent`, where this name lies below it.
    pub fn label_under(&self, parent: &Host) -> Option<&str> {
        self.0.strip_suffix(parent.as_str())?.strip_suffix('.').filter(|label| !label.is_empty())
    }
}

fn is_label(label: &str) -> bool {
    let ok = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(ok)
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Host {
    type Error = HostError;

    fn try_from(text: String) -> Result<Self, HostError> {
        Self::parse(&text)
    }
}

impl From<Host> for String {
    fn from(host: Host) -> String {
        host.0
    }
}

/// A tenant's label under the base domain (RFC 1123, section 2.1): 1–63 of `a–z`, `0–9`, inner `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

/// Why a text is no slug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlugError {
    /// Empty or longer than 63.
    #[error("a slug has 1 to 63 characters")]
    Length,
    /// Upper case, underscore, dot, space or anything else outside `a–z`, `0–9`, `-`.
    #[error("a slug has only lower-case letters a–z, digits and hyphens")]
    Character,
    /// A hyphen at an end.
    #[error("a slug begins and ends with a letter or a digit")]
    Hyphen,
    /// `xn--…` and other labels with hyphens in places three and four (RFC 5891, section 4.2.3.1).
    #[error("a slug has no hyphens in places three and four together, which DNS keeps for encoded names")]
    Encoded,
    /// Kept for the operator's own hosts.
    #[error("`{0}` is reserved; choose another slug")]
    Reserved(String),
}

/// Labels that no tenant may take.
pub const RESERVED_SLUGS: &[&str] = &[
    "www",
    "api",
    "admin",
    "app",
    "auth",
    "login",
    "mail",
    "smtp",
    "imap",
    "pop",
    "ftp",
    "ns",
    "ns1",
    "ns2",
    "mx",
    "dns",
    "cdn",
    "static",
    "assets",
    "status",
    "support",
    "help",
    "docs",
    "blog",
    "dashboard",
    "console",
    "billing",
    "internal",
    "root",
    "system",
    "localhost",
    "gatehouse",
    "metrics",
    "health",
    "webhooks",
    "autoconfig",
    "autodiscover",
    "wpad",
    "isatap",
];

impl Slug {
    /// Reads a slug; a reserved one is refused.
    pub fn parse(text: &str) -> Result<Self, SlugError> {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > 63 {
            return Err(SlugError::Length);
        }
        if !bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-') {
            return Err(SlugError::Character);
        }
        if text.starts_with('-') || text.ends_with('-') {
            return Err(SlugError::Hyphen);
        }
        if bytes.get(2..4) == Some(b"--") {
            return Err(SlugError::Encoded);
        }
        if RESERVED_SLUGS.contains(&text) {
            return Err(SlugError::Reserved(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Slug {
    type Error = SlugError;

    fn try_from(text: String) -> Result<Self, SlugError> {
        Self::parse(&text)
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> String {
        slug.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_normalised_or_refused() {
        assert_eq!(Host::parse("ACME.Example.COM.").unwrap().as_str(), "acme.example.com");
        assert_eq!(Host::parse("[::1]").unwrap().as_str(), "::1");
        assert_eq!(Host::parse("bücher.example").unwrap().as_str(), "xn--bcher-kva.example");
        for wrong in ["", ".", "a..b", "-a.b", "a b", "a/b", "a:80", "a%2e", &"a".repeat(64)] {
            assert!(Host::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["localhost", "127.0.0.1", "::1", "a.1"] {
            assert!(Host::parse_domain(wrong).is_err(), "{wrong}");
        }
        let parent = Host::parse("example.com").unwrap();
        assert_eq!(Host::parse("a.example.com").unwrap().label_under(&parent), Some("a"));
        assert_eq!(Host::parse("badexample.com").unwrap().label_under(&parent), None);
    }

    #[test]
    fn slugs_follow_dns_labels_and_leave_reserved_names_alone() {
        for right in ["a", "acme", "a-1", "1a", "x--y", &"a".repeat(63)] {
            assert!(Slug::parse(right).is_ok(), "{right}");
        }
        for wrong in ["", "Acme", "a_b", "-a", "a-", "xn--a", "ab--c", "www", "api", "admin", "a.b", "ä", &"a".repeat(64)] {
            assert!(Slug::parse(wrong).is_err(), "{wrong}");
        }
    }
}
