//! Keys are fetched when they are due or wanted, not more often than allowed, and those known outlive an outage.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use serde_json::json;
use tokio::sync::Notify;

use super::support::{ISSUER, NOW, Signer, claims, issuer, verdict};
use crate::access::key_set::KeySet;
use crate::access::keyring::{Keyring, Rhythm};
use crate::access::token::{TokenFault, Verifier};
use crate::clock::instant;
use crate::model::{KeySource, Millis};

const RHYTHM: Rhythm = Rhythm { every: Duration::from_secs(600), at_most_every: Duration::from_secs(10) };

fn ring() -> (Arc<Keyring>, Arc<Notify>) {
    let wake = Arc::new(Notify::new());
    let ring = Keyring::new(ISSUER.to_owned(), KeySource::Url("https://id.example/keys".to_owned()), Arc::clone(&wake)).unwrap();
    (Arc::new(ring), wake)
}

fn set(keys: &[&Signer]) -> KeySet {
    KeySet::read(json!({"keys": keys.iter().map(|key| key.jwk.clone()).collect::<Vec<_>>()})).unwrap()
}

#[test]
fn an_unknown_key_leads_to_another_attempt_but_not_before_its_time() {
    let (ring, _wake) = ring();
    let start = instant();
    assert!(ring.due(RHYTHM, start) == Some(start), "the first at once");
    ring.begin(start);
    assert_eq!(ring.due(RHYTHM, start), None, "one at a time");
    let (signer, next) = (Signer::of(Algorithm::EdDSA, "a"), Signer::of(Algorithm::EdDSA, "b"));
    assert!(ring.fetched(set(&[&signer]), start, RHYTHM.every));
    assert_eq!(ring.due(RHYTHM, start), Some(start + RHYTHM.every));
    let verifier = Arc::new(Verifier::new(issuer(&[]), Arc::clone(&ring)));
    assert!(verdict(&verifier, &signer.sign(&claims())).is_ok());
    for _ in 0..1000 {
        assert_eq!(verdict(&verifier, &next.sign(&claims())).err(), Some(Some(TokenFault::UnknownKey)));
    }
    assert_eq!(ring.due(RHYTHM, start), Some(start + RHYTHM.at_most_every), "however many ask");
    let again = start + RHYTHM.at_most_every;
    ring.begin(again);
    assert!(!ring.fetched(set(&[&signer]), again, RHYTHM.every), "the same keys are no news");
    assert_eq!(ring.due(RHYTHM, start), Some(again + RHYTHM.every), "the wish is fulfilled");
}

#[test]
fn an_outage_keeps_known_keys_and_is_met_with_patience() {
    let (ring, _wake) = ring();
    let verifier = Arc::new(Verifier::new(issuer(&[]), Arc::clone(&ring)));
    let signer = Signer::of(Algorithm::EdDSA, "a");
    let token = signer.sign(&claims());
    assert_eq!(verdict(&verifier, &token).err(), Some(Some(TokenFault::NoKeys)));
    let start = instant();
    ring.begin(start);
    assert!(ring.failed(start, "down".to_owned()));
    assert_eq!(ring.due(RHYTHM, start), Some(start + Duration::from_secs(2)));
    ring.begin(start);
    assert!(!ring.failed(start, "down".to_owned()), "told once");
    assert_eq!(ring.due(RHYTHM, start), Some(start + Duration::from_secs(4)));
    ring.begin(start);
    ring.fetched(set(&[&signer]), start, RHYTHM.every);
    let known = verdict(&verifier, &token).ok().unwrap();
    for _ in 0..20 {
        ring.begin(start);
        ring.failed(start, "down".to_owned());
    }
    assert_eq!(ring.due(RHYTHM, start), Some(start + Duration::from_secs(300)));
    assert!(verdict(&verifier, &token).is_ok() && known.holds(Millis(NOW * 1000)));
}

#[test]
fn a_key_that_is_withdrawn_ends_what_it_has_proved() {
    let (ring, _wake) = ring();
    let verifier = Arc::new(Verifier::new(issuer(&[]), Arc::clone(&ring)));
    let (old, new) = (Signer::of(Algorithm::ES256, "a"), Signer::of(Algorithm::ES256, "b"));
    ring.fetched(set(&[&old]), instant(), RHYTHM.every);
    let known = verdict(&verifier, &old.sign(&claims())).ok().unwrap();
    assert!(known.holds(Millis(NOW * 1000)));
    ring.fetched(set(&[&old, &new]), instant(), RHYTHM.every);
    assert!(!known.holds(Millis(NOW * 1000)), "it is looked at again");
    assert!(verdict(&verifier, &old.sign(&claims())).is_ok());
    ring.fetched(set(&[&new]), instant(), RHYTHM.every);
    assert_eq!(verdict(&verifier, &old.sign(&claims())).err(), Some(Some(TokenFault::UnknownKey)));
}

#[tokio::test]
async fn whoever_fetches_is_woken_when_a_key_is_wanted() {
    let (ring, wake) = ring();
    ring.want();
    wake.notified().await;
}
