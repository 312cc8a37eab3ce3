//! Messages of Stripe: who sent them, and what they are about. Their content is not believed; the object is asked for anew.

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::stripe::METADATA_INVOICE;
use crate::model::Millis;

/// How old a signature may be, or how far ahead of our clock.
const TOLERANCE_SECONDS: i64 = 300;
/// Signatures that are looked at; a sender has one, or two while the secret is changed.
const MOST_SIGNATURES: usize = 16;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// A second one with the same id is the same.
    pub id: String,
    /// Such as `payment_intent.succeeded`.
    pub kind: String,
    /// The kind of what it is about, such as `payment_intent`.
    pub object_kind: String,
    /// Its id; empty where it has none.
    pub object: String,
    /// The invoice that a charge of ours is for.
    pub invoice: Option<String>,
}

/// Why a message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// There is no signature that can be read.
    #[error("the field Stripe-Signature is missing or malformed")]
    NoSignature,
    /// None of the signatures is by our secret.
    #[error("no signature matches the body and STRIPE_WEBHOOK_SECRET")]
    Forged,
    /// Too old, or ahead of our clock.
    #[error("the signature is older than 5 minutes, or from the future; is a clock wrong?")]
    Stale,
    /// The body is not what was agreed.
    #[error("the body is not an event")]
    NotAnEvent,
}

/// The message that a body is, if it was signed by `secret` (docs.stripe.com/webhooks#verify-manually): HMAC-SHA256 over the time, a
/// dot and the body as it came.
pub fn verify(secret: &SecretString, signature: &str, body: &[u8], now: Millis) -> Result<Event, WebhookError> {
    let mut time = None;
    let mut signatures = Vec::new();
    for part in signature.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) if time.is_none() => time = Some(value),
            Some(("v1", value)) if signatures.len() < MOST_SIGNATURES => signatures.extend(unhex(value)),
            _ => {}
        }
    }
    let time = time.ok_or(WebhookError::NoSignature)?;
    let seconds: i64 = time.parse().map_err(|_| WebhookError::NoSignature)?;
    if signatures.is_empty() {
        return Err(WebhookError::NoSignature);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let signed = [time.as_bytes(), b".", body].concat();
    // Compared in constant time.
    if !signatures.iter().any(|given| hmac::verify(&key, &signed, given).is_ok()) {
        return Err(WebhookError::Forged);
    }
    if now.0.div_euclid(1000).abs_diff(seconds) > TOLERANCE_SECONDS as u64 {
        return Err(WebhookError::Stale);
    }
    event(body).ok_or(WebhookError::NotAnEvent)
}

/// The field that a sender with this secret would send.
pub fn sign(secret: &SecretString, body: &[u8], now: Millis) -> String {
    let seconds = now.0.div_euclid(1000);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let tag = hmac::sign(&key, &[seconds.to_string().as_bytes(), b".", body].concat());
    format!("t={seconds},v1={}", crate::model::hex(tag.as_ref()))
}

fn event(body: &[u8]) -> Option<Event> {
    #[derive(Deserialize)]
    struct Raw {
        id: String,
        #[serde(rename = "type")]
        kind: String,
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        object: Object,
    }
    #[derive(Deserialize)]
    struct Object {
        #[serde(default)]
        id: String,
        #[serde(default)]
        object: String,
        #[serde(default)]
        payment_intent: Option<serde_json::Value>,
        #[serde(default)]
        metadata: serde_json::Value,
    }
    let raw: Raw = serde_json::from_slice(body).ok()?;
    let Object { id, object, payment_intent, metadata } = raw.data.object;
    let invoice = metadata[METADATA_INVOICE].as_str().map(str::to_owned);
    // A charge or a refund is about the payment that it belongs to.
    let of_payment = payment_intent.and_then(|intent| intent.as_str().map(str::to_owned)).filter(|_| object != "payment_intent");
    let fits = |text: &str| (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let (object_kind, object) = of_payment.map_or((object, id), |intent| ("payment_intent".to_owned(), intent));
    (fits(&raw.id) && (object.is_empty() || fits(&object))).then_some(Event { id: raw.id, kind: raw.kind, object_kind, object, invoice })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| (*byte as char).to_digit(16).map(|digit| digit as u8);
    let bytes = text.as_bytes();
    let pairs = bytes.chunks_exact(2).map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.last()?)?));
    if bytes.len() == 64 { pairs.collect() } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const NOW: Millis = Millis(1_800_000_000_999);

    fn secret() -> SecretString {
        SecretString::from("whsec_test")
    }

    #[test]
    fn a_message_is_believed_to_be_its_senders_only_with_a_fresh_signature_over_the_body_as_it_came() {
        let body = br#"{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{"id":"pi_1","object":"payment_intent"}}}"#;
        let signature = sign(&secret(), body, NOW);
        let event = verify(&secret(), &signature, body, NOW).unwrap();
        assert_eq!((event.id.as_str(), event.object_kind.as_str(), event.object.as_str()), ("evt_1", "payment_intent", "pi_1"));
        let (time, tag) = signature.split_once(",v1=").unwrap();
        let wrong = "0".repeat(64);
        for good in [
            format!("{time},v1={wrong},v1={tag}"),
            format!("{time},v0=abc,v1={tag}"),
            format!("v1={tag}, {time}"),
            format!("{time},v1={}", tag.to_uppercase()),
        ] {
            assert!(verify(&secret(), &good, body, NOW).is_ok(), "{good}");
        }
        for later in [0, 300_000, -300_000] {
            assert!(verify(&secret(), &signature, body, Millis(NOW.0 + later)).is_ok(), "{later}");
        }
        for later in [301_000, -301_000] {
            assert_eq!(verify(&secret(), &signature, body, Millis(NOW.0 + later)), Err(WebhookError::Stale), "{later}");
        }
        let other = SecretString::from("whsec_other");
        assert_eq!(verify(&other, &signature, body, NOW), Err(WebhookError::Forged));
        assert_eq!(verify(&secret(), &signature, &[body.as_slice(), b" "].concat(), NOW), Err(WebhookError::Forged));
        assert_eq!(verify(&secret(), &format!("t=1{},v1={tag}", &time[2..]), body, NOW), Err(WebhookError::Forged));
        for none in ["", "t=1", "v1=00", &format!("v1={tag}"), &format!("{time},v1={}", &tag[1..]), &format!("t=x,v1={tag}")] {
            assert_eq!(verify(&secret(), none, body, NOW), Err(WebhookError::NoSignature), "{none}");
        }
    }

    #[test]
    fn a_charge_is_about_its_payment_and_what_is_no_event_is_refused() {
        let read = |body: &str| verify(&secret(), &sign(&secret(), body.as_bytes(), NOW), body.as_bytes(), NOW);
        let charge = r#"{"id":"evt_2","type":"charge.refunded","data":{"object":{"id":"ch_1","object":"charge","payment_intent":"pi_9"}}}"#;
        assert_eq!(read(charge).unwrap().object, "pi_9");
        for wrong in ["{}", "[]", "x", r#"{"id":"evt_1","type":"a","data":{}}"#, r#"{"id":"e v","type":"a","data":{"object":{}}}"#] {
            assert_eq!(read(wrong), Err(WebhookError::NotAnEvent), "{wrong}");
        }
    }
}
