//! Notices of the payment provider on the base domain's own host: the body is handed to the control plane, which says what to answer.
//! Nothing of it is looked at here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::{Semaphore, mpsc, oneshot};

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
/// So many at the same time: whoever knows the path can send one.
const AT_ONCE: usize = 64;
/// For a whole notice to come.
const BODY_PATIENCE: Duration = Duration::from_secs(10);
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
#[derive(Clone)]
pub struct Notices {
    sender: mpsc::Sender<Notice>,
    room: Arc<Semaphore>,
}

impl Notices {
    /// The way to the control plane, and its other end.
    pub fn new() -> (Self, mpsc::Receiver<Notice>) {
        let (sender, receiver) = mpsc::channel(AT_ONCE);
        (Self { sender, room: Arc::new(Semaphore::new(AT_ONCE)) }, receiver)
    }
}

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
    let signature = signature_of(&incoming.fields);
    let notices = exchange.worker.notices.as_ref().ok_or(Refusal::TenantNotFound)?;
    // The provider sends again what is not taken.
    let _place = notices.room.try_acquire().map_err(|_| Refusal::Overloaded)?;
    let body = match signature {
        Some(_) => collect(incoming).await?,
        // It is refused, whatever it says.
        None => Bytes::new(),
    };
    let (answer, answered) = oneshot::channel();
    notices.sender.try_send(Notice { signature, body, answer }).map_err(|_| Refusal::Overloaded)?;
    let answered = tokio::time::timeout(PATIENCE, answered).await;
    answered.ok().and_then(Result::ok).ok_or(Refusal::Overloaded)
}

fn signature_of(fields: &Fields) -> Option<String> {
    let mut named = fields.iter().filter(|field| field.text.eq_ignore_ascii_case(b"stripe-signature"));
    named.next().and_then(|field| std::str::from_utf8(field.value).ok()).map(str::to_owned)
}

async fn collect(incoming: Incoming) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(BODY_PATIENCE, Limited::new(incoming.body, MOST_OCTETS).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLarge { limit: MOST_OCTETS as u64 }),
        Ok(Err(_)) => Err(Refusal::ClientClosed),
        Err(_) => Err(Refusal::RequestTimeout),
    }
}
