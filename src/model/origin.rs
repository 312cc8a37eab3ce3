//! The address of an app behind the gateway: scheme, host and port, nothing else. The scheme says which HTTP is spoken there.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Host;

/// How an app is spoken to. Which version it is, is configured and never guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// HTTP/1.1 in clear.
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// HTTP/2 in clear, with prior knowledge (RFC 9113, section 3.3).
    H2c,
    /// HTTP/2 over TLS, agreed on by ALPN (RFC 9113, section 3.2).
    H2,
}

impl Scheme {
    /// As it is written in front of `://`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::H2c => "h2c",
            Self::H2 => "h2",
        }
    }

    /// Whether TLS is spoken.
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::H2)
    }

    /// Whether HTTP/2 is spoken.
    pub const fn is_http2(self) -> bool {
        matches!(self, Self::H2c | Self::H2)
    }

    fn split(url: &str) -> Option<(Self, &str)> {
        let (scheme, rest) = url.split_once("://")?;
        let known = [Self::Http, Self::Https, Self::H2c, Self::H2];
        known.into_iter().find(|known| scheme.eq_ignore_ascii_case(known.as_str())).map(|scheme| (scheme, rest))
    }
}

/// Where requests go, such as `http://127.0.0.1:9000`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin {
    /// Which protocol is spoken.
    pub scheme: Scheme,
    /// Name or address.
    pub host: Host,
    /// TCP port.
    pub port: u16,
}

/// Why a text is no upstream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Not a URL at all.
    #[error("`{0}` is not a URL; write it like `http://127.0.0.1:9000`")]
    NotAUrl(String),
    /// None of the known schemes.
    #[error("the scheme of `{0}` is not `http` or `https` (HTTP/1.1), `h2c` or `h2` (HTTP/2 without and with TLS)")]
    Scheme(String),
    /// User info, path, query or fragment.
    #[error("`{0}` has more than scheme, host and port; paths are passed as the client sent them")]
    TooMuch(String),
    /// Link-local addresses reach machine metadata, never an app.
    #[error("`{0}` is a link-local or unspecified address, which cannot be an upstream")]
    Forbidden(String),
}

impl Origin {
    /// Reads a URL with nothing but scheme, host and optional port.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let not_a_url = || OriginError::NotAUrl(text.to_owned());
        let (scheme, rest) = Scheme::split(text.trim()).ok_or_else(|| match url::Url::parse(text.trim()) {
            Ok(_) => OriginError::Scheme(text.to_owned()),
            Err(_) => not_a_url(),
        })?;
        // Hosts of all schemes are read alike, so that an address is known for one in any spelling.
        let web = if scheme.is_tls() { "https" } else { "http" };
        let url = url::Url::parse(&format!("{web}://{rest}")).map_err(|_| not_a_url())?;
        let extra = !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some();
        if extra || !matches!(url.path(), "" | "/") {
            return Err(OriginError::TooMuch(text.to_owned()));
        }
        let host = Host::parse(url.host_str().ok_or_else(not_a_url)?).map_err(|_| not_a_url())?;
        let port = url.port_or_known_default().ok_or_else(not_a_url)?;
        let origin = Self { scheme, host, port };
        if origin.address().is_some_and(is_forbidden) {
            return Err(OriginError::Forbidden(text.to_owned()));
        }
        Ok(origin)
    }

    /// The address, where the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.as_str().parse().ok()
    }
}

/// True for addresses that are never an app: link-local (cloud metadata lives there), unspecified, multicast.
pub fn is_forbidden(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast() || is_aws_metadata(v6),
    }
}

/// The instance metadata service's IPv6 address, `fd00:ec2::254`.
fn is_aws_metadata(address: Ipv6Addr) -> bool {
    address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme.as_str();
        match self.address() {
            Some(IpAddr::V6(v6)) => write!(f, "{scheme}://[{v6}]:{}", self.port),
            _ => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, OriginError> {
        Self::parse(&text)
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> String {
        origin.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_a_scheme_a_host_and_a_port_only() {
        assert_eq!(Origin::parse("http://127.0.0.1:9000").unwrap().to_string(), "http://127.0.0.1:9000");
        assert_eq!(Origin::parse("https://App.internal/").unwrap().to_string(), "https://app.internal:443");
        assert_eq!(Origin::parse("http://[::1]:80").unwrap().to_string(), "http://[::1]:80");
        assert_eq!(Origin::parse("H2C://127.1:50051").unwrap().to_string(), "h2c://127.0.0.1:50051");
        assert_eq!(Origin::parse("h2://grpc.internal").unwrap().to_string(), "h2://grpc.internal:443");
        assert_eq!(Origin::parse("h2c://[::1]").unwrap().to_string(), "h2c://[::1]:80");
        for wrong in [
            "",
            "127.0.0.1:9000",
            "ftp://a",
            "http://a/b",
            "http://u:p@a",
            "http://a?x",
            "http://169.254.169.254",
            "http://[fe80::1]",
            "http://0.0.0.0:1",
            "h2c://169.254.169.254",
            "h2://0xa9fea9fe",
            "http://[::ffff:169.254.169.254]",
        ] {
            assert!(Origin::parse(wrong).is_err(), "{wrong}");
        }
    }
}
