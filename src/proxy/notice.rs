//! Notices of the payment provider on the base domain's own host: the body is handed to the control plane, which says what to answer.
//! Nothing of it is looked at here.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::{mpsc, oneshot};

use super::answer::Answer;
use super::context::Exchange;
use super::inbound::Incoming;
use super::refusal::Refusal;
use super::resolve::own_host;
use super::settle;
use crate::message::Fields;

/// Where they are sent to.
const PATH: &str = "/webhooks/stripe";
/// No notice is larger.
const MOST_OCTETS: usize = 256 * 1024;
/// For the control plane, which may have to ask the provider.
const PATIENCE: Duration = Duration::from_secs(25);

/// A notice on its way to the control plane.
pub struct Notice {
    /// What the field `Stripe-Signature` says.
    pub signature: Option<String>,
    /// As it came.
    pub body: Bytes,
    /// Status and JSON to answer.
    pub answer: oneshot::Sender<(StatusCode, Bytes)>,
}

/// Takes notices to the control plane.
pub type Notices = mpsc::Sender<Notice>;

/// Whether a request is a notice; all but its host, which has to be the base domain.
pub fn is_notice(exchange: &mut Exchange, fields: &Fields) -> Result<bool, Refusal> {
    let wanted = exchange.worker.notices.is_some() && exchange.method == Method::POST && exchange.uri.path() == PATH;
    if wanted { own_host(exchange, fields) } else { Ok(false) }
}

/// To the control plane and back.
pub async fn pass(exchange: Box<Exchange>, incoming: Incoming) -> Answer {
    match tell(&exchange, incoming).await {
        Ok((status, body)) => settle::told(exchange, status, body),
        Err(refusal) => settle::refused(exchange, &refusal),
    }
}

async fn tell(exchange: &Exchange, incoming: Incoming) -> Result<(StatusCode, Bytes), Refusal> {
    let mut named = incoming.fields.iter().filter(|field| field.text.eq_ignore_ascii_case(b"stripe-signature"));
    let signature = named.next().and_then(|field| std::str::from_utf8(field.value).ok()).map(str::to_owned);
    let collected = Limited::new(incoming.body, MOST_OCTETS).collect();
    let patience = exchange.worker.config.limits.idle_timeout;
    let body = match tokio::time::timeout(patience, collected).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Refusal::BodyTooLarge { limit: MOST_OCTETS as u64 }),
        Ok(Err(_)) => return Err(Refusal::ClientClosed),
        Err(_) => return Err(Refusal::RequestTimeout),
    };
    let (answer, answered) = oneshot::channel();
    let notices = exchange.worker.notices.as_ref().ok_or(Refusal::TenantNotFound)?;
    // The provider sends again what is not taken.
    notices.try_send(Notice { signature, body, answer }).map_err(|_| Refusal::Overloaded)?;
    let answered = tokio::time::timeout(PATIENCE, answered).await;
    answered.ok().and_then(Result::ok).ok_or(Refusal::Overloaded)
}
