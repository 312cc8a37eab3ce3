//! Issuers of tokens: whose tokens are taken as proof of who a user is, and what is read from them.

use std::net::IpAddr;

use http::Uri;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Host, Url};

/// An identity provider whose tokens are believed, of all tenants or of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// What the claim `iss` says, to the letter (RFC 7519, section 4.1.1).
    pub issuer: String,
    /// Of which the claim `aud` names one; never empty.
    pub audience: Vec<String>,
    /// Where the keys come from.
    pub keys: KeySource,
    /// Algorithms that are taken; each is one of a public key.
    pub algorithms: Vec<TokenAlgorithm>,
    /// The claim that names the tenant by id or slug. Without one the issuer is the tenant's own and speaks for nobody else.
    #[serde(default)]
    pub tenant_claim: Option<String>,
    /// The claim that names the user.
    pub user_claim: String,
    /// The claim with the user's roles.
    pub roles_claim: String,
    /// The claim with what the token may be used for.
    pub scopes_claim: String,
    /// Seconds by which clocks may differ.
    pub leeway_seconds: u32,
    /// Whether the app gets the token as well.
    pub forward: bool,
}

/// Where the keys of an issuer come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeySource {
    /// `<issuer>/.well-known/openid-configuration` says where (OpenID Connect Discovery 1.0, section 4).
    Discovered,
    /// A JWK set (RFC 7517, section 5) at this URL.
    Url(String),
    /// This JWK set, which never changes.
    Given(Value),
}

/// An algorithm of signatures with a public key (RFC 7518, section 3; RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TokenAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

impl TokenAlgorithm {
    /// All of them, by the names that tokens use. No `none` and no HMAC: a key that verifies must not be one that signs.
    pub const ALL: [(&str, Self); 9] = [
        ("RS256", Self::RS256),
        ("RS384", Self::RS384),
        ("RS512", Self::RS512),
        ("PS256", Self::PS256),
        ("PS384", Self::PS384),
        ("PS512", Self::PS512),
        ("ES256", Self::ES256),
        ("ES384", Self::ES384),
        ("EdDSA", Self::EdDSA),
    ];
}

impl Issuer {
    /// One with the usual claims, all algorithms, and keys by discovery.
    pub fn usual(issuer: String, audience: Vec<String>) -> Self {
        Self {
            issuer,
            audience,
            keys: KeySource::Discovered,
            algorithms: TokenAlgorithm::ALL.map(|(_, algorithm)| algorithm).to_vec(),
            tenant_claim: None,
            user_claim: "sub".to_owned(),
            roles_claim: "roles".to_owned(),
            scopes_claim: "scope".to_owned(),
            leeway_seconds: 30,
            forward: true,
        }
    }
}

/// A URL that no keys are fetched from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyUrlError {
    /// It cannot be read, or has a part that it must not have.
    #[error("expected a URL such as \"https://login.example.com/keys\", without user name, password and `#`")]
    Form,
    /// Whoever is on the way could put other keys in.
    #[error("expected https (http for this machine only), so that nobody on the way can put keys of theirs in")]
    Clear,
    /// Where clouds keep the secrets of their machines, or nowhere.
    #[error("{0} is no address to fetch keys from")]
    Address(IpAddr),
}

/// A URL that keys may be fetched from: https, or http to this machine.
pub fn key_url(text: &str) -> Result<Uri, KeyUrlError> {
    let url = Url::parse(text).map_err(|_| KeyUrlError::Form)?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(KeyUrlError::Form);
    }
    let (address, is_local): (Option<IpAddr>, bool) = match url.host().ok_or(KeyUrlError::Form)? {
        Host::Domain(name) => (None, name == "localhost" || name.ends_with(".localhost")),
        Host::Ipv4(ip) => (Some(ip.into()), ip.is_loopback()),
        Host::Ipv6(ip) => (Some(ip.into()), ip.is_loopback()),
    };
    if let Some(address) = address.filter(|address| is_barred(*address)) {
        return Err(KeyUrlError::Address(address));
    }
    if url.scheme() != "https" && !(url.scheme() == "http" && is_local) {
        return Err(KeyUrlError::Clear);
    }
    url.as_str().parse().map_err(|_| KeyUrlError::Form)
}

/// Addresses at which nobody publishes keys.
pub fn is_barred(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_unspecified() || ip.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_over_https_or_from_this_machine() {
        for good in ["https://id.example/keys", "http://127.0.0.1:9/keys", "http://[::1]:9/", "http://localhost/keys", "https://10.0.0.1/"]
        {
            assert!(key_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://id.example/keys",
            "ftp://id.example/",
            "file:///etc/passwd",
            "https://user:word@id.example/",
            "https://169.254.169.254/latest",
            "https://[fe80::1]/",
            "keys",
            "",
        ] {
            assert!(key_url(bad).is_err(), "{bad}");
        }
    }
}
