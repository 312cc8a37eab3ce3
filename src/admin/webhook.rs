//! `POST /webhooks/stripe` on the admin listener: what the payment provider tells by itself. Its signature lets it in, no token.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::App;
use super::error::Problem;
use super::views::ProblemView;

/// No message is larger.
const MOST_OCTETS: usize = 256 * 1024;

/// A message of Stripe. 404 without a secret.
#[utoipa::path(post, path = "/webhooks/stripe", tag = "operations", request_body = Object,
    params(("Stripe-Signature" = String, Header)),
    responses((status = 200, description = "`{\"received\": true}`: acted on, now or before"), (status = 400, body = ProblemView),
        (status = 404, description = "Nothing that is known here", body = ProblemView), (status = 413, body = ProblemView)))]
pub async fn stripe(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let Some(hook) = &app.hook else { return Err(Problem::of_status(StatusCode::NOT_FOUND)) };
    let (parts, body) = request.into_parts();
    let arrives = tokio::time::timeout(app.config.limits.idle_timeout, axum::body::to_bytes(body, MOST_OCTETS));
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "Body too large",
            "A message has at most 256 KiB, and arrives in time.",
        )
    };
    let body = arrives.await.map_err(|_| too_large())?.map_err(|_| too_large())?;
    let signature = parts.headers.get("stripe-signature").and_then(|field| field.to_str().ok());
    match hook.take(signature, &body).await {
        Ok(()) => Ok(axum::Json(json!({"received": true})).into_response()),
        Err((status, code, detail)) => Err(Problem::new(status, code, "Not taken", detail)),
    }
}
