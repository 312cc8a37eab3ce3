//! Access: what it costs to know who is asking: by an API key, by a token seen before, by a token seen for the first time.

use std::hint::black_box;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use criterion::Criterion;
use gatehouse::access::{Issuers, TokenCache, Unverified, Verifier, cache_key, key_hash, new_key};
use gatehouse::model::{ApiKey, Issuer, KeyId, KeyMode, KeySource, Millis, TenantId, hex};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::directory::directory;

const NOW: Millis = Millis(1_800_000_000_000);
/// Keys and tokens that are looked up in turn.
const MANY: usize = 10_000;

/// A key, a token again, and a token for the first time.
pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("access");
    let directory = directory();
    let keys: Vec<String> = (0..MANY)
        .map(|_| {
            let issued = new_key(KeyMode::Live);
            directory.publish_key(ApiKey {
                id: KeyId::new(NOW),
                tenant_id: TenantId::new(NOW),
                name: "bench".to_owned(),
                prefix: issued.prefix,
                last_four: Some(issued.last_four),
                hash: hex(&issued.hash),
                roles: Vec::new(),
                scopes: Vec::new(),
                created_at: NOW,
                expires_at: None,
                lifetime: None,
                rotated_from: None,
            });
            issued.secret.expose_secret().to_owned()
        })
        .collect();
    let mut next = keys.iter().cycle();
    group.bench_function("API key", |bencher| {
        bencher.iter(|| {
            let entry = next.next().and_then(|text| key_hash(black_box(text))).and_then(|hash| directory.key(&hash)).unwrap();
            entry.note(NOW);
            entry
        });
    });

    let (verifier, tokens) = tokens();
    let by = [Arc::clone(&verifier)];
    group.bench_function("token, ES256, first sight", |bencher| {
        bencher.iter(|| verifier.verify(&Unverified::read(black_box(&tokens[0])).unwrap(), NOW).map(drop).unwrap());
    });
    let mut cache = TokenCache::new(MANY);
    for token in &tokens {
        let identity = verifier.verify(&Unverified::read(token).unwrap(), NOW).map_err(|fault| fault.detail()).unwrap();
        cache.put(cache_key(token), Arc::new(identity));
    }
    let mut next = tokens.iter().cycle();
    group.bench_function("token, again", |bencher| {
        bencher.iter(|| next.next().and_then(|token| cache.get(&cache_key(black_box(token)), &[&by], NOW)).unwrap());
    });
    group.finish();
}

/// An issuer with a key on P-256, and tokens as large as usual ones.
fn tokens() -> (Arc<Verifier>, Vec<String>) {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let key = EncodingKey::from_ec_der(pkcs8.as_ref());
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
    jwk["kid"] = json!("key-1");
    let mut issuer = Issuer::usual("https://login.example.com/".to_owned(), vec!["https://app.example.com".to_owned()]);
    issuer.tenant_claim = Some("tenant".to_owned());
    issuer.keys = KeySource::Given(json!({"keys": [jwk]}));
    let verifier = Issuers::of(&[issuer]).unwrap().common()[0].clone();
    let header = Header { kid: Some("key-1".to_owned()), ..Header::new(Algorithm::ES256) };
    let token = |number: usize| {
        let claims = json!({
            "iss": "https://login.example.com/", "aud": ["https://app.example.com", "https://login.example.com/userinfo"],
            "sub": format!("auth0|5f7c8ec7c33c6c004bbafe{number:06}"), "tenant": "acme", "roles": ["admin", "billing"],
            "iat": 1_799_999_000, "exp": 1_800_003_600, "azp": "my_client_id", "scope": "openid profile email reports:read",
        });
        encode(&header, &claims, &key).unwrap()
    };
    (verifier, (0..MANY).map(token).collect())
}
