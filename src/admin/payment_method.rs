//! `PUT` and `DELETE /admin/tenants/{id}/payment-method`: what the provider collects a tenant's invoices from.

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::call::Call;
use super::error::Problem;
use super::idempotency::{Outcome, write};
use super::views::{ProblemView, TenantView};
use crate::billing::payments::PaymentError;
use crate::tenancy::PayerError;

/// What to collect from.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Method {
    /// The provider's name of it, as its page or form has given it.
    #[schema(example = "pm_card_visa")]
    payment_method: String,
}

/// Collect from this payment method from now on. Invoices that are open are collected at once.
#[utoipa::path(put, path = "/admin/tenants/{id}/payment-method", tag = "invoices", request_body = Method, params(("id" = String, Path)),
    responses((status = 200, body = TenantView), (status = 402, body = ProblemView), (status = 409, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn set(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let body: Method = call.json()?;
    let good = (1..=255).contains(&body.payment_method.len()) && body.payment_method.bytes().all(|byte| byte.is_ascii_graphic());
    if !good {
        return Err(Problem::field("/paymentMethod", "invalid", "1 to 255 visible ASCII characters, such as `pm_card_visa`"));
    }
    write(&app, &call, || async {
        let current = app.find(&id).await?;
        call.check_match(&current)?;
        let change = app.biller.with_method(&current, &body.payment_method, &call.cause).await?;
        let body = app.changed_json(&change);
        Ok(Outcome::ok(change, body))
    })
    .await
}

/// Collect from nothing any more: invoices are due as without a provider.
#[utoipa::path(delete, path = "/admin/tenants/{id}/payment-method", tag = "invoices", params(("id" = String, Path)),
    responses((status = 200, body = TenantView), (status = 404, body = ProblemView)))]
pub async fn remove(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    write(&app, &call, || async {
        let current = app.find(&id).await?;
        call.check_match(&current)?;
        let change = app.biller.without_method(&current, &call.cause)?;
        let body = app.changed_json(&change);
        Ok(Outcome::ok(change, body))
    })
    .await
}

impl From<PayerError> for Problem {
    fn from(error: PayerError) -> Self {
        let detail = error.to_string();
        match error {
            PayerError::Tenancy(error) => Self::from(error),
            PayerError::Provider(PaymentError::Unavailable(_)) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable", "Payment provider not available", detail)
            }
            PayerError::Provider(PaymentError::Refused(_)) => {
                Self::new(StatusCode::PAYMENT_REQUIRED, "payment_failed", "Payment method refused", detail)
            }
            PayerError::Provider(PaymentError::NotSupported(_)) => {
                Self::new(StatusCode::CONFLICT, "not_supported", "No payment provider", detail)
            }
        }
    }
}
