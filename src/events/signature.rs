//! How an event is signed: Standard Webhooks, scheme `v1` (HMAC-SHA256, the secret shared with the receiver).

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretSlice};

use crate::model::EventId;

/// The value of `webhook-signature`: one signature for each key.
pub(super) fn sign(keys: &[SecretSlice<u8>], id: EventId, seconds: i64, body: &[u8]) -> String {
    let signatures: Vec<String> = keys.iter().map(|key| format!("v1,{}", signature(key.expose_secret(), id, seconds, body))).collect();
    signatures.join(" ")
}

fn signature(key: &[u8], id: EventId, seconds: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    context.update(format!("{id}.{seconds}.").as_bytes());
    context.update(body);
    STANDARD.encode(context.sign())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_signs_id_time_and_body() {
        let id = EventId::from_bytes([1; 16]);
        let key = |text: &[u8]| SecretSlice::from(text.to_vec());
        let (one, two) = (key(b"012345678901234567890123"), key(b"another-secret-of-24-oct"));
        // By Python's hmac over "evt_01010101010101010101010101010101.1700000000.{}".
        let expected = "v1,mnogXMJ4UbZNuhXSrU2W06Xvgt3o5y407GRRMlUwD4E=";
        assert_eq!(sign(std::slice::from_ref(&one), id, 1_700_000_000, b"{}"), expected);
        let both = sign(&[one.clone(), two.clone()], id, 1_700_000_000, b"{}");
        let second = sign(&[two], id, 1_700_000_000, b"{}");
        assert_eq!(both, format!("{expected} {second}"));
        for other in
            [sign(std::slice::from_ref(&one), id, 1_700_000_001, b"{}"), sign(std::slice::from_ref(&one), id, 1_700_000_000, b"{} ")]
        {
            assert_ne!(other, expected);
        }
    }
}
