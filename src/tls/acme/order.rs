//! One order, from newOrder to the certificate (RFC 8555, section 7.4).

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeHandle, ChallengeType, Error, Identifier, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::CertificateDer;

use super::{Issuer, OrderError, OrderFault};
use crate::model::Host;
use crate::tls::challenges::Offered;

/// For a whole order; an authority may take a minute to look at a name.
const PATIENCE: Duration = Duration::from_secs(180);
const POLLS: RetryPolicy = RetryPolicy::new().initial_delay(Duration::from_millis(200)).backoff(1.5).timeout(Duration::from_secs(90));

/// How the authority shall look whether the name is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// By a request to the http listener.
    Http01,
    /// By a handshake with the https listener.
    TlsAlpn01,
}

/// What is ordered.
#[derive(Debug, Clone, Copy)]
pub struct OrderRequest<'a> {
    /// The one name of the certificate.
    pub name: &'a Host,
    /// How it is validated.
    pub method: Method,
    /// The certificate that it replaces (RFC 9773, section 5).
    pub replaces: Option<&'a CertificateDer<'static>>,
}

/// A certificate that was issued.
pub struct Issued {
    /// PEM, the certificate itself first.
    pub chain: String,
    /// Its private key, sealed for the name.
    pub sealed_key: Vec<u8>,
}

impl Issuer {
    /// Orders a certificate and waits for it.
    pub async fn order(&self, request: OrderRequest<'_>) -> Result<Issued, OrderError> {
        let ordered = tokio::time::timeout(PATIENCE, self.order_now(request)).await;
        let ordered = ordered.unwrap_or_else(|_| Err(OrderError::unavailable("the order takes too long")));
        if ordered.as_ref().is_err_and(|error| error.is_account_lost) {
            self.forget_account().await;
        }
        ordered
    }

    async fn order_now(&self, request: OrderRequest<'_>) -> Result<Issued, OrderError> {
        let account = self.account().await?;
        let mut order = begin(&account, request).await?;
        // Until the authority has looked.
        let offered = self.offer(&mut order, request).await?;
        if order.poll_ready(&POLLS).await? != OrderStatus::Ready {
            return Err(reason_of(&mut order).await);
        }
        drop(offered);
        let (key, csr) = request_for(request.name).map_err(|error| OrderError::unavailable(error.to_string()))?;
        order.finalize_csr(&csr).await?;
        let chain = order.poll_certificate(&POLLS).await?;
        let sealed_key = self.vault.seal(request.name.as_str(), &key.serialize_der());
        Ok(Issued { chain, sealed_key: sealed_key.map_err(|error| OrderError::unavailable(error.to_string()))? })
    }

    /// Answers the challenges that are open.
    async fn offer(&self, order: &mut Order, request: OrderRequest<'_>) -> Result<Vec<Offered>, OrderError> {
        let mut offered = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                other => return Err(OrderError::refused(format!("its authorization is {other:?} already"))),
            }
            let kind = match request.method {
                Method::Http01 => ChallengeType::Http01,
                Method::TlsAlpn01 => ChallengeType::TlsAlpn01,
            };
            let challenge = authorization.challenge(kind);
            let mut challenge = challenge.ok_or_else(|| OrderError::refused("the authority does not offer this way to validate a name"))?;
            offered.push(self.answer(&challenge, request)?);
            challenge.set_ready().await?;
        }
        Ok(offered)
    }

    fn answer(&self, challenge: &ChallengeHandle<'_>, request: OrderRequest<'_>) -> Result<Offered, OrderError> {
        let authorization = challenge.key_authorization();
        match request.method {
            Method::Http01 => Ok(self.challenges.offer_text(request.name, &challenge.token, authorization.as_str())),
            Method::TlsAlpn01 => {
                let digest = authorization.digest();
                let digest = digest.as_ref().try_into().map_err(|_| OrderError::unavailable("a SHA-256 has 32 octets"))?;
                let offered = self.challenges.offer_certificate(request.name, digest);
                offered.map_err(|error| OrderError::unavailable(error.to_string()))
            }
        }
    }
}

/// Places the order. An authority without renewal information, or one that has replaced the old certificate already, is told of
/// none.
async fn begin(account: &Account, request: OrderRequest<'_>) -> Result<Order, OrderError> {
    let identifiers = [Identifier::Dns(request.name.to_string())];
    let replaced = request.replaces.and_then(|old| CertificateIdentifier::try_from(old).ok());
    if let Some(replaced) = replaced {
        match account.new_order(&NewOrder::new(&identifiers).replaces(replaced)).await {
            Err(Error::Unsupported(_)) => {}
            Err(Error::Api(problem)) if OrderError::of(&problem).fault == OrderFault::Refuses => {}
            ordered => return Ok(ordered?),
        }
    }
    Ok(account.new_order(&NewOrder::new(&identifiers)).await?)
}

/// A key of its own for each certificate, and the request to sign it.
fn request_for(name: &Host) -> Result<(KeyPair, Vec<u8>), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![name.to_string()])?;
    params.distinguished_name = DistinguishedName::new();
    let csr = params.serialize_request(&key)?;
    Ok((key, csr.der().to_vec()))
}

/// Why an order has become invalid: what the challenge says.
async fn reason_of(order: &mut Order) -> OrderError {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        if let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
            return OrderError::of(problem);
        }
    }
    OrderError::refused("the order became invalid, and the authority does not say why")
}
