//! The public keys of an issuer, read from a JWK set (RFC 7517). What cannot verify a signature of ours is left out: secret keys,
//! keys for encryption, curves and kinds that are not known, and RSA below 2048 bits.

use std::sync::atomic::{AtomicU64, Ordering};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

/// Keys of one issuer; more than that nobody publishes.
const MOST_KEYS: usize = 64;
/// Keys that are tried for a token that names none.
const MOST_TRIED: usize = 8;
/// Octets of an RSA modulus (RFC 7518, section 3.3).
const RSA_OCTETS: usize = 256;

/// Keys as they were published at one time.
pub struct KeySet {
    /// Differs from that of every other set of the process.
    pub generation: u64,
    keys: Vec<TokenKey>,
    source: Value,
}

struct TokenKey {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
    /// Kind, curve and numbers, by which two keys are told apart.
    public: Vec<Value>,
}

/// Why there is no key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// It has no list of keys.
    #[error("a JWK set has a member `keys`, which is a list")]
    NoKeys,
    /// Too many.
    #[error("a JWK set of {0} keys is not read: at most {MOST_KEYS}")]
    TooMany(usize),
    /// A private or secret key, which nobody else may have.
    #[error("it has a private or secret key in it (`{0}`); only public keys belong there")]
    Private(&'static str),
    /// None that could be used.
    #[error("none of its keys can verify a token: RSA of 2048 bits or more, P-256, P-384 or Ed25519, for signatures")]
    NoneUsable,
}

impl KeySet {
    /// Reads a JWK set.
    pub fn read(source: Value) -> Result<Self, KeySetError> {
        static GENERATION: AtomicU64 = AtomicU64::new(1);
        let listed = source.get("keys").and_then(Value::as_array).ok_or(KeySetError::NoKeys)?;
        if listed.len() > MOST_KEYS {
            return Err(KeySetError::TooMany(listed.len()));
        }
        let keys: Vec<TokenKey> = listed.iter().filter(|key| private_member(key).is_none()).filter_map(usable).collect();
        if keys.is_empty() {
            return Err(KeySetError::NoneUsable);
        }
        Ok(Self { generation: GENERATION.fetch_add(1, Ordering::Relaxed), keys, source })
    }

    /// Reads a set that somebody gave us, which would be kept and shown: it must have public keys only.
    pub fn given(source: Value) -> Result<Self, KeySetError> {
        let listed = source.get("keys").and_then(Value::as_array);
        match listed.into_iter().flatten().find_map(private_member) {
            Some(member) => Err(KeySetError::Private(member)),
            None => Self::read(source),
        }
    }

    /// What it was read from.
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// Whether it has the same keys; what else is published with them does not matter, nor their order.
    pub fn is_same(&self, other: &Self) -> bool {
        let has = |keys: &[TokenKey], key: &TokenKey| keys.iter().any(|one| one.id == key.id && one.public == key.public);
        self.keys.len() == other.keys.len() && self.keys.iter().all(|key| has(&other.keys, key))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// False, always: a set without keys is not read.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that may have signed a token with this `kid` and `alg`. A key without an id may be any.
    pub fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &DecodingKey> {
        let fits = move |key: &&TokenKey| {
            let is_named = match (id, &key.id) {
                (Some(id), Some(own)) => id == own,
                _ => true,
            };
            is_named && key.algorithms.contains(&algorithm)
        };
        self.keys.iter().filter(fits).take(MOST_TRIED).map(|key| &key.key)
    }
}

/// The member that only the owner of a key has (RFC 7518, sections 6.2.2, 6.3.2 and 6.4).
fn private_member(jwk: &Value) -> Option<&'static str> {
    ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].into_iter().find(|member| jwk.get(member).is_some())
}

fn usable(jwk: &Value) -> Option<TokenKey> {
    let public = ["kty", "crv", "alg", "use", "x", "y", "n", "e"].iter().filter_map(|member| jwk.get(member).cloned()).collect();
    let jwk: Jwk = serde_json::from_value(jwk.clone()).ok()?;
    let common = &jwk.common;
    let is_for_signatures = common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature);
    let verifies = common.key_operations.as_ref().is_none_or(|list| list.contains(&KeyOperations::Verify));
    let mut algorithms = algorithms_of(&jwk.algorithm)?;
    if let Some(named) = &common.key_algorithm {
        let named: Algorithm = named.to_string().parse().ok()?;
        algorithms.retain(|algorithm| *algorithm == named);
    }
    if !is_for_signatures || !verifies || algorithms.is_empty() {
        return None;
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some(TokenKey { id: common.key_id.clone(), algorithms, key, public })
}

/// What a key of this kind can verify; none for secret keys and for what is too weak.
fn algorithms_of(parameters: &AlgorithmParameters) -> Option<Vec<Algorithm>> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let octets = |text: &str| text.len() * 3 / 4;
    match parameters {
        AlgorithmParameters::RSA(rsa) if octets(&rsa.n) >= RSA_OCTETS => Some(vec![RS256, RS384, RS512, PS256, PS384, PS512]),
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 if octets(&ec.x) == 32 && octets(&ec.y) == 32 => Some(vec![ES256]),
            EllipticCurve::P384 if octets(&ec.x) == 48 && octets(&ec.y) == 48 => Some(vec![ES384]),
            _ => None,
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 && octets(&pair.x) == 32 => Some(vec![EdDSA]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    #[test]
    fn keys_that_cannot_verify_a_token_are_left_out() {
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "a"});
        let secret = json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75", "kid": "b"});
        let sealing = json!({"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "c", "use": "enc"});
        let small = json!({"kty": "RSA", "n": "AQAB".repeat(40), "e": "AQAB", "kid": "d"});
        let other = json!({"kty": "OKP", "crv": "X25519", "x": X, "kid": "e"});
        let mixed = json!({"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "f", "alg": "HS256"});
        let set = KeySet::read(json!({"keys": [ed, secret, sealing, small, other, mixed, "nonsense"]})).unwrap();
        assert_eq!(set.len(), 1);
        assert_eq!(set.candidates(Some("a"), Algorithm::EdDSA).count(), 1);
        assert_eq!(set.candidates(None, Algorithm::EdDSA).count(), 1);
        assert_eq!(set.candidates(Some("b"), Algorithm::EdDSA).count(), 0);
        for algorithm in [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256] {
            assert_eq!(set.candidates(Some("a"), algorithm).count(), 0, "{algorithm:?}");
        }
    }

    #[test]
    fn a_set_without_a_usable_key_is_an_error() {
        assert_eq!(KeySet::read(json!({})).err(), Some(KeySetError::NoKeys));
        assert_eq!(KeySet::read(json!({"keys": []})).err(), Some(KeySetError::NoneUsable));
        let private = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": X, "d": X}]});
        assert_eq!(KeySet::given(private.clone()).err(), Some(KeySetError::Private("d")));
        assert_eq!(KeySet::read(private).err(), Some(KeySetError::NoneUsable));
        assert_eq!(KeySet::read(json!({"keys": vec![json!({}); 65]})).err(), Some(KeySetError::TooMany(65)));
    }
}
