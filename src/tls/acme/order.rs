//! One order, from newOrder to the certificate (RFC 8555, section 7.4).

use std::time::Duration;

use async_trait::async_trait;
use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeHandle, ChallengeType, Error, Identifier, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::CertificateDer;

use super::{Issuer, OrderError, OrderFault};
use crate::clock::{Clock, SystemClock};
use crate::model::Host;
use crate::tls::certificates::check_issued;
use crate::tls::challenges::Offered;

/// An authority may take a minute to look at a name.
const POLLS: RetryPolicy = RetryPolicy::new().initial_delay(Duration::from_millis(200)).backoff(1.5).timeout(Duration::from_secs(90));

/// How the authority shall look whether the name is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// By a request to the http listener.
    Http01,
    /// By a handshake with the https listener.
    TlsAlpn01,
    /// By a record in DNS; the only way to a wildcard.
    Dns01,
}

/// What is ordered.
#[derive(Clone, Copy)]
pub struct OrderRequest<'a> {
    /// What the key is sealed for.
    pub sealed_for: &'a str,
    /// The names of the certificate: hosts, or a wildcard.
    pub names: &'a [String],
    /// How they are validated.
    pub method: Method,
    /// Who sets records, for [`Method::Dns01`].
    pub zone: Option<&'a dyn Zone>,
    /// The certificate that it replaces (RFC 9773, section 5).
    pub replaces: Option<&'a CertificateDer<'static>>,
}

/// Where an authority looks for records (RFC 8555, section 8.4).
#[async_trait]
pub trait Zone: Send + Sync {
    /// Sets a TXT record, and waits until it is seen.
    async fn set(&self, name: &str, value: &str) -> Result<(), OrderError>;
    /// Takes it away; what cannot be removed is told of and left.
    async fn unset(&self, name: &str, value: &str);
}

/// What the authority is answered, until it is dropped or withdrawn.
enum Answer {
    Offered { _offered: Offered },
    Record(String, String),
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
        // Each answer of the authority, and each wait for it to look, has its own end.
        let account = self.account().await?;
        let ordered = self.order_with(&account, request).await;
        if ordered.as_ref().is_err_and(|error| error.is_account_lost) {
            self.forget_account(account.id()).await;
            return self.order_with(&self.account().await?, request).await;
        }
        ordered
    }

    async fn order_with(&self, account: &Account, request: OrderRequest<'_>) -> Result<Issued, OrderError> {
        let mut order = begin(account, request).await?;
        // Until the authority has looked.
        let mut answers = Vec::new();
        let validated = self.validate(&mut order, request, &mut answers).await;
        withdraw(answers, request.zone).await;
        if validated? != OrderStatus::Ready {
            return Err(reason_of(&mut order).await);
        }
        let (key, csr) = request_for(request.names).map_err(|error| OrderError::unavailable(error.to_string()))?;
        order.finalize_csr(&csr).await?;
        let chain = order.poll_certificate(&POLLS).await?;
        let checked = check_issued(&chain, request.names, &key.serialize_der(), SystemClock.now());
        checked.map_err(|problem| OrderError::refused(format!("what the authority issued cannot be used: {problem}")))?;
        let sealed_key = self.vault.seal(request.sealed_for, &key.serialize_der());
        Ok(Issued { chain, sealed_key: sealed_key.map_err(|error| OrderError::unavailable(error.to_string()))? })
    }

    /// Answers the challenges that are open, and waits until the authority has looked.
    async fn validate(&self, order: &mut Order, request: OrderRequest<'_>, answers: &mut Vec<Answer>) -> Result<OrderStatus, OrderError> {
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
                Method::Dns01 => ChallengeType::Dns01,
            };
            let challenge = authorization.challenge(kind);
            let mut challenge = challenge.ok_or_else(|| OrderError::refused("the authority does not offer this way to validate a name"))?;
            self.answer(&challenge, request, answers).await?;
            challenge.set_ready().await?;
        }
        Ok(order.poll_ready(&POLLS).await?)
    }

    async fn answer(
        &self,
        challenge: &ChallengeHandle<'_>,
        request: OrderRequest<'_>,
        answers: &mut Vec<Answer>,
    ) -> Result<(), OrderError> {
        let authorization = challenge.key_authorization();
        let name = match challenge.identifier().identifier {
            Identifier::Dns(name) => Host::parse(name).map_err(|error| OrderError::refused(error.to_string()))?,
            _ => return Err(OrderError::refused("the authority asks for something that is no domain")),
        };
        match request.method {
            Method::Http01 => {
                let offered = self.challenges.offer_text(&name, &challenge.token, authorization.as_str());
                answers.push(Answer::Offered { _offered: offered });
            }
            Method::TlsAlpn01 => {
                let digest = authorization.digest();
                let digest = digest.as_ref().try_into().map_err(|_| OrderError::unavailable("a SHA-256 has 32 octets"))?;
                let offered = self.challenges.offer_certificate(&name, digest);
                answers.push(Answer::Offered { _offered: offered.map_err(|error| OrderError::unavailable(error.to_string()))? });
            }
            Method::Dns01 => {
                let zone = request.zone.ok_or_else(|| OrderError::refused("nobody can set a DNS record"))?;
                let (record, value) = (format!("_acme-challenge.{name}"), authorization.dns_value());
                // Withdrawn also where it is set and then not seen.
                answers.push(Answer::Record(record.clone(), value.clone()));
                zone.set(&record, &value).await?;
            }
        }
        Ok(())
    }
}

async fn withdraw(answers: Vec<Answer>, zone: Option<&dyn Zone>) {
    for answer in answers {
        if let (Answer::Record(name, value), Some(zone)) = (answer, zone) {
            zone.unset(&name, &value).await;
        }
    }
}

/// Places the order. An authority without renewal information, or one that has replaced the old certificate already, is told of
/// none.
async fn begin(account: &Account, request: OrderRequest<'_>) -> Result<Order, OrderError> {
    let identifiers: Vec<Identifier> = request.names.iter().cloned().map(Identifier::Dns).collect();
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
fn request_for(names: &[String]) -> Result<(KeyPair, Vec<u8>), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
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
