//! An issuer of tests: a key of one kind, its JWK set, and tokens that it signs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::access::keyring::Keyring;
use crate::access::token::{Identity, TokenFault, Unverified, Verifier};
use crate::model::{Issuer, KeySource, Millis};

pub const NOW: i64 = 1_800_000_000;
pub const ISSUER: &str = "https://id.example";

/// A key that signs.
pub struct Signer {
    pub algorithm: Algorithm,
    pub key: EncodingKey,
    pub jwk: Value,
}

impl Signer {
    /// A new key for this algorithm.
    pub fn of(algorithm: Algorithm, id: &str) -> Self {
        let random = SystemRandom::new();
        let key = match algorithm {
            Algorithm::ES256 => {
                EncodingKey::from_ec_der(EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap().as_ref())
            }
            Algorithm::ES384 => {
                EncodingKey::from_ec_der(EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random).unwrap().as_ref())
            }
            Algorithm::EdDSA => return Self::edwards(id),
            _ => {
                let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
                let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
                EncodingKey::from_rsa_pem(&pem(pkcs8.as_ref())).unwrap()
            }
        };
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap();
        jwk["kid"] = json!(id);
        Self { algorithm, key, jwk }
    }

    fn edwards(id: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key()), "kid": id});
        Self { algorithm: Algorithm::EdDSA, key: EncodingKey::from_ed_der(pkcs8.as_ref()), jwk }
    }

    /// Signs claims.
    pub fn sign(&self, claims: &Value) -> String {
        let kid = self.jwk["kid"].as_str().map(str::to_owned);
        encode(&Header { kid, ..Header::new(self.algorithm) }, claims, &self.key).unwrap()
    }

    /// Signs any header and any octets.
    pub fn sign_raw(&self, header: &str, body: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(body));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

fn pem(der: &[u8]) -> Vec<u8> {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")).into_bytes()
}

/// Good claims.
pub fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "app", "exp": NOW + 60, "sub": "u1", "tenant": "acme", "roles": ["admin"], "scope": "read write"})
}

/// An issuer whose keys are these.
pub fn issuer(keys: &[&Signer]) -> Issuer {
    let mut issuer = Issuer::usual(ISSUER.to_owned(), vec!["app".to_owned()]);
    issuer.tenant_claim = Some("tenant".to_owned());
    issuer.keys = KeySource::Given(json!({"keys": keys.iter().map(|key| key.jwk.clone()).collect::<Vec<_>>()}));
    issuer
}

/// Verifies its tokens.
pub fn verifier(issuer: Issuer) -> Arc<Verifier> {
    let ring = Keyring::new(issuer.issuer.clone(), issuer.keys.clone(), Arc::new(Notify::new())).unwrap();
    Arc::new(Verifier::new(issuer, Arc::new(ring)))
}

/// What comes of a token now.
pub fn verdict(verifier: &Arc<Verifier>, token: &str) -> Result<Identity, Option<TokenFault>> {
    verifier.verify(&Unverified::read(token).ok_or(None)?, Millis(NOW * 1000)).map_err(Some)
}
