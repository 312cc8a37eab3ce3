//! The provider's messages, as they arrive at either listener: checked, acted on, answered.

use std::sync::Arc;

use http::StatusCode;
use secrecy::SecretString;

use super::Biller;
use super::payer::{Message, Received};
use crate::billing::payments::webhook::verify;
use crate::clock::{Clock, SharedClock, SystemClock};

/// Takes messages of the provider.
pub struct Hook {
    biller: Arc<Biller>,
    secret: SecretString,
    clock: SharedClock,
}

impl Hook {
    /// Signed with this secret; what they change is as of `clock`.
    pub fn new(biller: Arc<Biller>, secret: SecretString, clock: SharedClock) -> Self {
        Self { biller, secret, clock }
    }

    /// Acts on a message; its status and why. What is not taken is sent again by the provider.
    pub async fn take(&self, signature: Option<&str>, body: &[u8]) -> Result<(), (StatusCode, &'static str, String)> {
        // Signatures are as old as the machines say, whatever billing time is.
        let event = verify(&self.secret, signature.unwrap_or_default(), body, SystemClock.now())
            .map_err(|error| (StatusCode::BAD_REQUEST, "bad_signature", error.to_string()))?;
        let is_payment = event.object_kind == "payment_intent";
        let invoice = event.invoice.as_deref().and_then(|id| id.parse().ok());
        let message = Message { id: event.id.clone(), object: event.object.clone(), is_payment, invoice };
        match self.biller.receive(&message, self.clock.now()).await {
            Ok(Received::Done) => Ok(()),
            Ok(Received::Unknown) => {
                tracing::info!(
                    event = event.id,
                    kind = event.kind,
                    object = event.object,
                    "a message of the payment provider is about nothing known here"
                );
                Err((StatusCode::NOT_FOUND, "not_found", format!("`{}` is nothing that is known here", event.object)))
            }
            Err(error) => {
                tracing::warn!(event = event.id, %error, "a message of the payment provider cannot be acted on; it is sent again");
                Err((StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable", error.to_string()))
            }
        }
    }
}
