//! The tests' own identity provider and attacker of tokens do what the tests that use them believe.

use std::collections::{HashMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::identity::{Expected, Identity, Outage};

const ALGORITHMS: [&str; 5] = ["RS256", "PS256", "ES256", "ES384", "EdDSA"];

/// Header and payload.
fn read(token: &str) -> (Value, Value) {
    let parts: Vec<&str> = token.split('.').collect();
    let part = |at: usize| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[at]).unwrap()).unwrap();
    assert_eq!(parts.len(), 3, "{token}");
    (part(0), part(1))
}

async fn published(identity: &Identity) -> Vec<String> {
    let jwks = identity.jwks().await;
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_provider_signs_what_a_test_asks_for_with_a_key_that_it_publishes() {
    let identity = Identity::start().await;
    for alg in ALGORITHMS {
        let wanted = identity.token(alg).tenant("acme").roles(&["owner"]).lifetime(7).scope("orders:read orders:write");
        let (header, payload) = read(&wanted.user("ada").mint().await);
        assert_eq!((&header["alg"], &header["typ"]), (&json!(alg), &json!("at+jwt")));
        assert!(published(&identity).await.contains(&header["kid"].as_str().unwrap().to_owned()));
        let said = |name: &str| payload[name].clone();
        assert_eq!([said("sub"), said("iss"), said("aud")], [json!("ada"), json!(identity.issuer()), json!("gatehouse")]);
        assert_eq!([said("tenant"), said("scope")], [json!("acme"), json!("orders:read orders:write")]);
        assert_eq!((said("roles"), &payload["realm_access"]["roles"]), (json!(["owner"]), &json!(["owner"])));
        assert_eq!(payload["exp"].as_u64().unwrap() - payload["iat"].as_u64().unwrap(), 7);
    }
    let odd = identity.token("ES256").payload("exp", Value::Null).payload("aud", json!(["a", "b"])).header("kid", Value::Null);
    let (header, payload) = read(&odd.audience("elsewhere").mint().await);
    assert_eq!((&header["kid"], &payload["exp"], &payload["aud"]), (&Value::Null, &Value::Null, &json!(["a", "b"])));
    assert_eq!(payload["sub"], "script", "nobody signed in");
}

#[tokio::test]
async fn the_provider_rotates_its_keys_and_fails_as_it_is_told() {
    let identity = Identity::start_with(&["RS256", "ES256"]).await;
    let first = published(&identity).await;
    let second = identity.rotate("ES256", true).await;
    assert_eq!(read(&identity.token("ES256").mint().await).0["kid"], second);
    assert_eq!(published(&identity).await, [vec![second], first.clone()].concat());
    let third = identity.rotate("ES256", false).await;
    assert_eq!(published(&identity).await, [third, first[0].clone()]);

    assert_eq!(identity.jwks_requests().await, 3);
    let ask = || reqwest::Client::new().get(identity.jwks_url()).timeout(std::time::Duration::from_millis(500)).send();
    identity.outage(Outage::Answer(500, "out of order".to_owned())).await;
    assert_eq!(ask().await.unwrap().status(), 500);
    identity.outage(Outage::Hang).await;
    assert!(ask().await.unwrap_err().is_timeout());
    identity.outage(Outage::Reset).await;
    assert!(!ask().await.unwrap_err().is_timeout());
    identity.outage(Outage::Slow(100)).await;
    assert_eq!(ask().await.unwrap().status(), 200);
    identity.outage(Outage::None).await;
    assert_eq!(ask().await.unwrap().status(), 200);
    assert_eq!(identity.jwks_requests().await, 8);
}

#[tokio::test]
async fn the_attacker_has_hundreds_of_tokens_and_a_library_s_verdict_on_them() {
    let identity = Identity::start().await;
    let forged = identity.forged("acme", "globex", "foreign-1", "http://127.0.0.1:9").await;
    let names: HashSet<_> = forged.iter().map(|token| (&token.family, &token.name)).collect();
    assert_eq!(names.len(), forged.len(), "two of one name");
    let mut counts: HashMap<Expected, usize> = HashMap::new();
    for token in &forged {
        *counts.entry(token.expected).or_default() += 1;
    }
    println!("{counts:?}");
    let can_be_sent = |token: &str| token.bytes().all(|octet| matches!(octet, b' '..=b'~' | b'\t'));
    assert!(forged.iter().all(|forged| can_be_sent(&forged.token)), "a token that no field can hold");
    assert!(counts[&Expected::Refused] > 600 && counts[&Expected::Accepted] > 15, "{counts:?}");
}
