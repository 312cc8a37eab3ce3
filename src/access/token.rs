//! Tokens: JSON web tokens (RFC 7519) in compact form, verified with the public keys of an issuer that is known.
//!
//! What it promises: nothing of a token is believed before its signature is good, and the key that verifies it is one of its
//! issuer's; keys and addresses that a token brings along are not looked at (RFC 8725, section 3.10).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header, crypto, decode_header};
use serde_json::Value;

use super::claims::{self, Claims, Said};
use super::keyring::Keyring;
use crate::model::{Issuer, Millis, TokenAlgorithm};

/// Verifies the tokens of one issuer.
pub struct Verifier {
    issuer: Issuer,
    algorithms: Vec<Algorithm>,
    keys: Arc<Keyring>,
}

/// Who a verified token says is asking.
pub struct Identity {
    /// What it says.
    pub said: Said,
    /// For `X-User-Roles`.
    pub roles_text: Box<str>,
    /// Who says so.
    pub by: Arc<Verifier>,
    /// The keys that it was verified with.
    generation: u64,
}

/// A token as it came, with nothing of it believed yet.
pub struct Unverified<'t> {
    text: &'t str,
    claims: Claims,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// It is not what RFC 7515 and RFC 7519 describe.
    Malformed,
    /// Its algorithm is not taken.
    Algorithm,
    /// It demands what is not known here (`crit`), or is of another type.
    Demand,
    /// None of the keys known has its `kid`.
    UnknownKey,
    /// The keys could not be fetched yet.
    NoKeys,
    /// The signature is wrong.
    Signature,
    /// `iss` is another.
    Issuer,
    /// `exp` is missing.
    NoExpiry,
    /// `exp` has passed.
    Expired,
    /// `nbf` is in the future.
    NotYet,
    /// `aud` names others.
    Audience,
    /// The claim that names the tenant is missing, or no text.
    NoTenant,
    /// The claim that names the user is missing, or cannot be told in a header field.
    NoUser,
}

impl TokenFault {
    /// What the client is told.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Malformed => "The token is not a JSON web token as RFC 7519 describes it.",
            Self::Algorithm => "The token is signed with an algorithm that is not taken here.",
            Self::Demand => "The token is of a type, or demands something (`crit`), that is not known here.",
            Self::UnknownKey => {
                "The token is signed with a key that is not among its issuer's; where they are fetched, they are fetched again: try once more."
            }
            Self::NoKeys => "The keys of the token's issuer could not be fetched yet; try again.",
            Self::Signature => "The signature of the token is wrong.",
            Self::Issuer => "The token is of another issuer.",
            Self::NoExpiry => "The token has no time of expiry (`exp`).",
            Self::Expired => "The token has expired.",
            Self::NotYet => "The token is not valid yet (`nbf`).",
            Self::Audience => "The token is for somebody else (`aud`).",
            Self::NoTenant => "The token does not name a tenant.",
            Self::NoUser => "The token does not name a user.",
        }
    }
}

impl<'t> Unverified<'t> {
    /// Reads what looks like a token: three parts, of which the second holds claims. `None` is something else.
    pub fn read(text: &'t str) -> Option<Self> {
        let mut parts = text.split('.');
        let (Some(head), Some(body), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else { return None };
        // A JSON object begins with `{"` or with a brace and white space: `ey` or `ew`, `eg`, `eC`.
        if !head.starts_with('e') {
            return None;
        }
        let claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        Some(Self { text, claims })
    }

    /// Who it claims to be issued by.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }
}

impl Verifier {
    /// For this issuer, with its keys.
    pub fn new(issuer: Issuer, keys: Arc<Keyring>) -> Self {
        let algorithms = issuer.algorithms.iter().map(|algorithm| algorithm_of(*algorithm)).collect();
        Self { issuer, algorithms, keys }
    }

    /// Whose tokens.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Where its keys are.
    pub fn keys(&self) -> &Arc<Keyring> {
        &self.keys
    }

    /// Verifies signature and claims; `now` is real time. Where the key is not known, the keys are asked for.
    pub fn verify(self: &Arc<Self>, token: &Unverified<'_>, now: Millis) -> Result<Identity, TokenFault> {
        let header = decode_header(token.text).map_err(|_| algorithm_or_form(token.text))?;
        if !self.algorithms.contains(&header.alg) {
            return Err(TokenFault::Algorithm);
        }
        if header.crit.is_some() || !is_token_type(&header) || header.enc.is_some() || header.zip.is_some() {
            return Err(TokenFault::Demand);
        }
        // What cannot be good whoever has signed it costs no signature.
        let said = claims::read(&token.claims, &self.issuer, now)?;
        let keys = self.keys.current().ok_or(TokenFault::NoKeys)?;
        let (message, signature) = token.text.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let mut candidates = keys.candidates(header.kid.as_deref(), header.alg).peekable();
        if candidates.peek().is_none() {
            self.keys.want();
            return Err(TokenFault::UnknownKey);
        }
        if !candidates.any(|key| crypto::verify(signature, message.as_bytes(), key, header.alg).is_ok_and(|is_good| is_good)) {
            // An issuer without ids, or that uses one again, may have other keys by now.
            self.keys.want();
            return Err(TokenFault::Signature);
        }
        let roles_text = said.roles.join(",").into();
        Ok(Identity { said, roles_text, by: Arc::clone(self), generation: keys.generation })
    }
}

impl Identity {
    /// Whether it still holds: not expired, and verified with the keys that are published now.
    pub fn holds(&self, now: Millis) -> bool {
        now < self.said.not_after && self.by.keys.current().is_some_and(|keys| keys.generation == self.generation)
    }
}

/// `JWT`, `at+jwt` (RFC 9068) or nothing; a logout token or a proof is no proof of a user (RFC 8725, section 3.11).
fn is_token_type(header: &Header) -> bool {
    let Some(kind) = header.typ.as_deref() else { return true };
    let kind = kind.strip_prefix("application/").unwrap_or(kind);
    kind.eq_ignore_ascii_case("jwt") || kind.eq_ignore_ascii_case("at+jwt")
}

/// A header that cannot be read may only name an algorithm that nobody takes, such as `none`.
fn algorithm_or_form(text: &str) -> TokenFault {
    let header = text.split('.').next().and_then(|head| URL_SAFE_NO_PAD.decode(head).ok());
    let header = header.and_then(|octets| serde_json::from_slice::<Value>(&octets).ok());
    if header.is_some_and(|header| header["alg"].is_string()) { TokenFault::Algorithm } else { TokenFault::Malformed }
}

const fn algorithm_of(algorithm: TokenAlgorithm) -> Algorithm {
    match algorithm {
        TokenAlgorithm::RS256 => Algorithm::RS256,
        TokenAlgorithm::RS384 => Algorithm::RS384,
        TokenAlgorithm::RS512 => Algorithm::RS512,
        TokenAlgorithm::PS256 => Algorithm::PS256,
        TokenAlgorithm::PS384 => Algorithm::PS384,
        TokenAlgorithm::PS512 => Algorithm::PS512,
        TokenAlgorithm::ES256 => Algorithm::ES256,
        TokenAlgorithm::ES384 => Algorithm::ES384,
        TokenAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}
