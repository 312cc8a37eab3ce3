//! How Stripe is spoken to: forms over HTTPS, JSON back, never for ever, and never with the key in a log.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::PaymentError;
use crate::model::Origin;
use crate::trust;

/// The version of the API.
const VERSION: &str = "2025-09-30.clover";
/// For one answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// No answer is larger.
const MOST_OCTETS: usize = 1024 * 1024;

/// A client of the API.
pub struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Without a slash at its end.
    api: String,
    key: SecretString,
}

/// What was answered.
pub(super) enum Answer {
    /// It was done.
    Done(Value),
    /// The card was declined: the error object.
    Declined(Value),
    /// The request is wrong.
    Refused(String),
}

impl Answer {
    /// The object; an error where there is none.
    pub(super) fn done(&self) -> Result<Value, PaymentError> {
        match self {
            Self::Done(object) => Ok(object.clone()),
            Self::Declined(error) => Err(PaymentError::Refused(error["message"].as_str().unwrap_or("declined").to_owned())),
            Self::Refused(text) => Err(PaymentError::Refused(text.clone())),
        }
    }
}

impl Http {
    /// Of the API at `api`, with this key.
    pub fn new(api: &Origin, key: SecretString) -> Self {
        let tls = trust::client_config(trust::system_roots());
        // The configuration lets `http` be a loopback address only.
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let mut builder = Client::builder(TokioExecutor::new());
        // A connection that was closed meanwhile would leave an outcome open.
        builder.pool_idle_timeout(Duration::from_secs(10)).pool_timer(TokioTimer::new());
        Self { client: builder.build(connector), api: api.to_string(), key }
    }

    /// One call; a change is a form with its idempotency key.
    pub(super) async fn call(&self, method: Method, path: &str, change: Option<(&[(&str, &str)], &str)>) -> Result<Answer, PaymentError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.api))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key.expose_secret()))
            .header(header::USER_AGENT, concat!("gatehouse/", env!("CARGO_PKG_VERSION")))
            .header("stripe-version", VERSION);
        let mut body = String::new();
        if let Some((form, key)) = change {
            body = url::form_urlencoded::Serializer::new(body).extend_pairs(form).finish();
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").header("idempotency-key", key);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| PaymentError::Refused(error.to_string()))?;
        let whole = async {
            let (parts, body) = self.client.request(request).await.map_err(|error| unavailable(&error))?.into_parts();
            let body = Limited::new(body, MOST_OCTETS).collect().await.map_err(|error| PaymentError::Unavailable(error.to_string()))?;
            judge(parts.status, serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null))
        };
        let late = || Err(PaymentError::Unavailable(format!("no answer within {} s", PATIENCE.as_secs())));
        tokio::time::timeout(PATIENCE, whole).await.unwrap_or_else(|_| late())
    }
}

/// What a status means (docs.stripe.com/api/errors).
fn judge(status: StatusCode, mut body: Value) -> Result<Answer, PaymentError> {
    if status.is_success() {
        return Ok(Answer::Done(body));
    }
    let error = body["error"].take();
    let message: String = error["message"].as_str().unwrap_or("no reason is given").chars().take(500).collect();
    let kind = error["type"].as_str().unwrap_or_default();
    match status.as_u16() {
        402 => Ok(Answer::Declined(error)),
        // The same key is still being worked on, or too many requests: the outcome is open.
        409 | 429 | 500.. => Err(PaymentError::Unavailable(format!("{status}: {message}"))),
        // Another request had this key before, and may have succeeded.
        _ if matches!(kind, "api_error" | "idempotency_error") => Err(PaymentError::Unavailable(format!("{status}: {message}"))),
        _ => Ok(Answer::Refused(format!("{status}: {message}"))),
    }
}

/// The whole chain of causes, which names the address and never the key.
fn unavailable(error: &hyper_util::client::legacy::Error) -> PaymentError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    PaymentError::Unavailable(text)
}
