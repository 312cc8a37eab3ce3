//! Tokens are believed where signature and claims are right, and not where either is bent.

#![allow(clippy::unwrap_used)]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::support::{NOW, Signer, claims, issuer, verdict, verifier};
use crate::access::cache::{TokenCache, cache_key};
use crate::access::token::TokenFault;
use crate::model::{Millis, TokenAlgorithm};

const KINDS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

#[test]
fn a_token_of_every_kind_of_key_says_who_its_user_is() {
    for algorithm in KINDS {
        let signer = Signer::of(algorithm, "k");
        let verifier = verifier(issuer(&[&signer]));
        let known = verdict(&verifier, &signer.sign(&claims())).unwrap_or_else(|fault| panic!("{algorithm:?}: {fault:?}"));
        assert_eq!((&*known.said.user, known.said.tenant.as_deref(), &*known.roles_text), ("u1", Some("acme"), "admin"));
        assert_eq!(&*known.said.scopes, ["read", "write"]);
    }
}

#[test]
fn an_algorithm_that_is_not_taken_is_refused_though_the_signature_is_good() {
    let signer = Signer::of(Algorithm::RS256, "k");
    let mut only = issuer(&[&signer]);
    only.algorithms = vec![TokenAlgorithm::PS256, TokenAlgorithm::ES256];
    assert_eq!(verdict(&verifier(only), &signer.sign(&claims())).err(), Some(Some(TokenFault::Algorithm)));
}

#[test]
fn a_public_key_signs_nothing() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let signer = Signer::of(algorithm, "k");
        let verifier = verifier(issuer(&[&signer]));
        let octets = |name: &str| URL_SAFE_NO_PAD.decode(signer.jwk[name].as_str().unwrap_or_default()).unwrap();
        let secrets = [signer.jwk.to_string().into_bytes(), octets("n"), octets("x"), [octets("x"), octets("y")].concat(), Vec::new()];
        for secret in secrets {
            for alg in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                let header = Header { kid: Some("k".to_owned()), ..Header::new(alg) };
                let token = encode(&header, &claims(), &EncodingKey::from_secret(&secret)).unwrap();
                assert_eq!(verdict(&verifier, &token).err(), Some(Some(TokenFault::Algorithm)), "{algorithm:?} {alg:?}");
            }
        }
        for none in ["none", "None", "NONE", "nOnE", ""] {
            let header = URL_SAFE_NO_PAD.encode(json!({"alg": none, "kid": "k"}).to_string());
            let body = URL_SAFE_NO_PAD.encode(claims().to_string());
            for signature in ["", "AA"] {
                let token = format!("{header}.{body}.{signature}");
                assert_eq!(verdict(&verifier, &token).err(), Some(Some(TokenFault::Algorithm)), "{none}");
            }
        }
    }
}

#[test]
fn keys_that_a_token_brings_along_are_not_used() {
    let (signer, other) = (Signer::of(Algorithm::ES256, "k"), Signer::of(Algorithm::ES256, "k"));
    let verifier = verifier(issuer(&[&signer]));
    let body = claims().to_string();
    for more in [
        json!({"jwk": other.jwk}),
        json!({"jku": "https://evil.example/keys"}),
        json!({"x5u": "https://evil.example/cert"}),
        json!({"x5c": ["MIIB"]}),
        json!({}),
    ] {
        let mut header = json!({"alg": "ES256", "kid": "k", "typ": "JWT"});
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let token = other.sign_raw(&header.to_string(), &body);
        assert_eq!(verdict(&verifier, &token).err(), Some(Some(TokenFault::Signature)), "{more}");
    }
}

#[test]
fn what_a_header_demands_has_to_be_known() {
    let signer = Signer::of(Algorithm::ES256, "k");
    let verifier = verifier(issuer(&[&signer]));
    let judged = |more: Value| {
        let mut header = json!({"alg": "ES256", "kid": "k"});
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        verdict(&verifier, &signer.sign_raw(&header.to_string(), &claims().to_string())).err()
    };
    for good in [json!({}), json!({"typ": "JWT"}), json!({"typ": "at+jwt"}), json!({"typ": "application/at+JWT"})] {
        assert_eq!(judged(good.clone()), None, "{good}");
    }
    for bad in [json!({"crit": ["b64"], "b64": false}), json!({"typ": "logout+jwt"}), json!({"typ": "dpop+jwt"}), json!({"zip": "DEF"})] {
        assert_eq!(judged(bad.clone()), Some(Some(TokenFault::Demand)), "{bad}");
    }
    for kid in ["../k", "k' OR '1'='1", "https://evil.example/k", "K", &"k".repeat(5000)] {
        assert_eq!(judged(json!({"kid": kid})), Some(Some(TokenFault::UnknownKey)), "{kid}");
    }
    assert_eq!(judged(json!({"kid": 7})), Some(Some(TokenFault::Algorithm)));
}

#[test]
fn a_changed_octet_anywhere_is_noticed() {
    let signer = Signer::of(Algorithm::ES256, "k");
    let verifier = verifier(issuer(&[&signer]));
    let token = signer.sign(&claims());
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(verdict(&verifier, std::str::from_utf8(&changed).unwrap()).is_err(), "{at}");
    }
    for bent in [format!("{token}="), format!("{token}."), format!("{token}.{token}"), token.replace('.', "..")] {
        assert!(verdict(&verifier, &bent).is_err(), "{bent}");
    }
    let (message, _) = token.rsplit_once('.').unwrap();
    for signature in ["", "AAAA", &"A".repeat(86)] {
        assert!(verdict(&verifier, &format!("{message}.{signature}")).is_err(), "{signature}");
    }
}

#[test]
fn a_token_that_was_verified_is_known_until_it_expires_or_its_key_goes() {
    let (signer, next) = (Signer::of(Algorithm::EdDSA, "a"), Signer::of(Algorithm::EdDSA, "b"));
    let (one, other) = (verifier(issuer(&[&signer])), verifier(issuer(&[&signer, &next])));
    let token = signer.sign(&claims());
    let identity = std::sync::Arc::new(verdict(&one, &token).ok().unwrap());
    let mut cache = TokenCache::new(2);
    let (hash, now) = (cache_key(&token), |seconds: i64| Millis((NOW + seconds) * 1000));
    cache.put(hash, std::sync::Arc::clone(&identity));
    let by = [std::sync::Arc::clone(&one)];
    assert!(cache.get(&hash, &[&by], now(0)).is_some());
    assert!(cache.get(&hash, &[&[std::sync::Arc::clone(&other)]], now(0)).is_none(), "what one has verified is not taken for another");
    assert!(cache.get(&hash, &[&by], now(89)).is_some());
    assert!(cache.get(&hash, &[&by], now(90)).is_none(), "expired");
    cache.put(hash, identity);
    // What was shown lately outlives what was not.
    for count in 0..6 {
        cache.put([count; 32], std::sync::Arc::new(verdict(&one, &token).ok().unwrap()));
        assert!(cache.get(&hash, &[&by], now(0)).is_some(), "{count}");
    }
    assert!(cache.get(&[0; 32], &[&by], now(0)).is_none(), "it is bounded");
}
