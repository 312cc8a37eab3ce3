//! When the authority wants a certificate to be renewed (ARI, RFC 9773).

use instant_acme::CertificateIdentifier;
use rustls::pki_types::CertificateDer;

use super::{Issuer, OrderError};
use crate::model::Millis;

/// From when until when a certificate should be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewalWindow {
    /// The first moment.
    pub start: Millis,
    /// The last.
    pub end: Millis,
    /// When to ask again.
    pub ask_at: Millis,
}

impl Issuer {
    /// The window of a certificate; none where the authority has none to tell.
    pub async fn renewal_window(&self, certificate: &CertificateDer<'static>, now: Millis) -> Result<Option<RenewalWindow>, OrderError> {
        let Ok(id) = CertificateIdentifier::try_from(certificate) else { return Ok(None) };
        let account = self.account_at_once().await?;
        match account.renewal_info(&id).await {
            Ok((info, after)) => {
                let at = |seconds: i64| Millis(seconds.saturating_mul(1000));
                let window = info.suggested_window;
                let (start, end) = (at(window.start.unix_timestamp()), at(window.end.unix_timestamp()));
                Ok((start < end).then_some(RenewalWindow { start, end, ask_at: now.plus(after) }))
            }
            Err(instant_acme::Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
