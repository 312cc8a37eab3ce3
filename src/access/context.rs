//! The signed context: a JSON web token (EdDSA, RFC 8037) that says of a request which tenant and user it is of, so that an app can
//! prove that it came through the gate. Its keys follow each other; each is published before it signs and after it has signed.

use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::model::Millis;

/// How long a new key is published before it signs, so that whoever keeps the set for a while has it in time.
pub const LEAD: Duration = Duration::from_secs(60 * 60);

/// A key that signs.
pub struct ContextKey {
    /// Its `kid`: the thumbprint of the public key (RFC 7638).
    pub id: String,
    /// When it was made.
    pub created_at: Millis,
    public: String,
    private: EncodingKey,
}

/// A key cannot be read, or not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key that signs the tenant context cannot be read or made")]
pub struct ContextKeyError;

/// What is said of a request.
#[derive(Debug, Serialize)]
pub struct Context<'a> {
    /// The tenant's id.
    pub tenant: &'a str,
    /// Its slug.
    pub slug: &'a str,
    /// The name of its plan.
    pub plan: &'a str,
    /// Flags that are on.
    pub features: Vec<&'a str>,
    /// The verified user, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    /// The user's roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<&'a [String]>,
}

/// Signs.
pub struct ContextSigner {
    issuer: String,
    audience: String,
    lifetime: Duration,
    keys: ArcSwap<Vec<ContextKey>>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    #[serde(flatten)]
    context: Context<'a>,
}

impl ContextKey {
    /// A new one, with its octets (PKCS #8) for keeping.
    pub fn draw(now: Millis) -> Result<(Self, Vec<u8>), ContextKeyError> {
        let octets = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| ContextKeyError)?;
        Ok((Self::read(octets.as_ref(), now)?, octets.as_ref().to_vec()))
    }

    /// One that was kept.
    pub fn read(octets: &[u8], created_at: Millis) -> Result<Self, ContextKeyError> {
        let pair = Ed25519KeyPair::from_pkcs8(octets).map_err(|_| ContextKeyError)?;
        let public = URL_SAFE_NO_PAD.encode(pair.public_key());
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{public}"}}"#);
        let id = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
        Ok(Self { id, created_at, public, private: EncodingKey::from_ed_der(octets) })
    }
}

impl ContextSigner {
    /// With these keys, the oldest first; never none.
    pub fn new(issuer: String, audience: String, lifetime: Duration, keys: Vec<ContextKey>) -> Self {
        Self { issuer, audience, lifetime, keys: ArcSwap::from_pointee(keys) }
    }

    /// With these keys from now on.
    pub fn set_keys(&self, keys: Vec<ContextKey>) {
        self.keys.store(std::sync::Arc::new(keys));
    }

    /// How long a context is good.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// The context as a token, good until `end` at most; `now` is real time. `None` where there is no key, which does not happen.
    pub fn sign(&self, context: Context<'_>, now: Millis, end: Millis) -> Option<String> {
        let keys = self.keys.load();
        let key = signing(&keys, now)?;
        let (iat, lifetime) = (now.0.div_euclid(1000), i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX));
        let claims =
            Claims { iss: &self.issuer, aud: &self.audience, iat, exp: iat.saturating_add(lifetime).min(end.0.div_euclid(1000)), context };
        let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims, &key.private).ok()
    }

    /// The public keys, as a JWK set (RFC 7517, section 5).
    pub fn jwks(&self) -> Value {
        let key = |key: &ContextKey| json!({"kty": "OKP", "crv": "Ed25519", "x": key.public, "kid": key.id, "use": "sig", "alg": "EdDSA"});
        json!({"keys": self.keys.load().iter().map(key).collect::<Vec<_>>()})
    }
}

/// The newest key that has been published for long enough, else the oldest.
fn signing(keys: &[ContextKey], now: Millis) -> Option<&ContextKey> {
    keys.iter().rev().find(|key| key.created_at.plus(LEAD) <= now).or_else(|| keys.first())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use jsonwebtoken::{DecodingKey, decode_header};

    use super::*;

    const NOW: Millis = Millis(1_800_000_000_000);

    fn context() -> Context<'static> {
        Context { tenant: "tenant_1", slug: "acme", plan: "pro", features: Vec::new(), user: None, roles: None }
    }

    #[test]
    fn what_is_signed_verifies_with_what_is_published() {
        let (key, octets) = ContextKey::draw(NOW).unwrap();
        assert_eq!(ContextKey::read(&octets, NOW).unwrap().id, key.id);
        let signer = ContextSigner::new("gate".to_owned(), "app".to_owned(), Duration::from_secs(60), vec![key]);
        let token = signer.sign(context(), NOW, Millis(i64::MAX)).unwrap();
        let jwks = signer.jwks();
        let public: jsonwebtoken::jwk::Jwk = serde_json::from_value(jwks["keys"][0].clone()).unwrap();
        assert_eq!(decode_header(&token).unwrap().kid.as_deref(), jwks["keys"][0]["kid"].as_str());
        let (message, signature) = token.rsplit_once('.').unwrap();
        let key = DecodingKey::from_jwk(&public).unwrap();
        assert!(jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::EdDSA).unwrap());
        let body = URL_SAFE_NO_PAD.decode(message.split('.').nth(1).unwrap()).unwrap();
        let said: Value = serde_json::from_slice(&body).unwrap();
        let expected = json!({"iss": "gate", "aud": "app", "iat": 1_800_000_000, "exp": 1_800_000_060, "tenant": "tenant_1", "slug": "acme",
            "plan": "pro", "features": []});
        assert_eq!(said, expected);
    }

    #[test]
    fn a_new_key_is_published_before_it_signs() {
        let at = |age: i64| ContextKey::draw(Millis(NOW.0 - age)).unwrap().0;
        let keys = vec![at(90_000_000), at(3_599_000)];
        assert_eq!(signing(&keys, NOW).unwrap().id, keys[0].id);
        assert_eq!(signing(&keys, Millis(NOW.0 + 1_000)).unwrap().id, keys[1].id);
        assert_eq!(signing(&keys[1..], NOW).unwrap().id, keys[1].id, "the first of all signs at once");
    }
}
