//! Quotes: what a preview said, signed, so that the change itself charges exactly that.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::model::{Millis, Money, TenantId};

/// How long a quote holds.
pub const VALID_MINUTES: i64 = 10;

/// What was previewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// For whom.
    pub tenant: TenantId,
    /// When: the change is reckoned as of then.
    pub at: Millis,
    /// What was to be changed, and into what, as a digest.
    pub digest: String,
    /// What it came to.
    pub total: Money,
}

/// Why a quote does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// Not one of ours.
    #[error("this is not a quote that was given here; ask for a preview and send its quote")]
    Forged,
    /// Too old.
    #[error("the quote is older than 10 minutes; ask for another preview")]
    Expired,
    /// The subscription, or what was asked for, is not what it was.
    #[error("the subscription has changed since the quote, or it was for another change; ask for another preview")]
    Outdated,
}

/// Signs and reads quotes.
pub struct Signer(hmac::Key);

impl Signer {
    /// With a key of at least 32 octets.
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The quote as text.
    pub fn sign(&self, quote: &Quote) -> String {
        // Ids, numbers and digests are always JSON.
        let body = serde_json::to_vec(quote).unwrap_or_default();
        let tag = hmac::sign(&self.0, &body);
        format!("{}.{}", URL_SAFE_NO_PAD.encode(&body), URL_SAFE_NO_PAD.encode(tag))
    }

    /// The quote that a text is, if it holds for this tenant at `now`.
    pub fn read(&self, text: &str, tenant: TenantId, now: Millis) -> Result<Quote, QuoteError> {
        let (body, tag) = text.split_once('.').ok_or(QuoteError::Forged)?;
        let [body, tag] = [body, tag].map(|part| URL_SAFE_NO_PAD.decode(part).map_err(|_| QuoteError::Forged));
        let (body, tag) = (body?, tag?);
        hmac::verify(&self.0, &body, &tag).map_err(|_| QuoteError::Forged)?;
        let quote: Quote = serde_json::from_slice(&body).map_err(|_| QuoteError::Forged)?;
        if quote.tenant != tenant {
            return Err(QuoteError::Outdated);
        }
        let age = now.0.saturating_sub(quote.at.0);
        if (0..=VALID_MINUTES * 60_000).contains(&age) { Ok(quote) } else { Err(QuoteError::Expired) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_quote_holds_for_ten_minutes_for_its_tenant_and_as_it_was_given() {
        let signer = Signer::new(&[7; 32]);
        let (tenant, other) = (TenantId::new(Millis(1)), TenantId::new(Millis(2)));
        let quote = Quote { tenant, at: Millis(1_000), digest: "d".to_owned(), total: Money(3387) };
        let text = signer.sign(&quote);
        assert_eq!(signer.read(&text, tenant, Millis(1_000)), Ok(quote.clone()));
        assert_eq!(signer.read(&text, tenant, Millis(601_000)), Ok(quote));
        assert_eq!(signer.read(&text, tenant, Millis(601_001)), Err(QuoteError::Expired));
        assert_eq!(signer.read(&text, tenant, Millis(999)), Err(QuoteError::Expired));
        assert_eq!(signer.read(&text, other, Millis(1_000)), Err(QuoteError::Outdated));
        assert_eq!(Signer::new(&[8; 32]).read(&text, tenant, Millis(1_000)), Err(QuoteError::Forged));
        for at in 0..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'A' { b'B' } else { b'A' };
            assert!(signer.read(&String::from_utf8(wrong).unwrap(), tenant, Millis(1_000)).is_err(), "letter {at}");
        }
    }
}
