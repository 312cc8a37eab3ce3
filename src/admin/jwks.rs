//! `/.well-known/jwks.json`: the public keys that verify the signed context, for apps; no secret, so that it needs no token.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use super::App;
use super::error::Problem;

/// The public keys that verify `X-Tenant-Context`, as a JWK set.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "operations",
    responses((status = 200, description = "A JWK set (RFC 7517)"), (status = 404, description = "The context is not signed")))]
pub async fn read(State(app): State<App>) -> Result<Response, Problem> {
    let Some(signer) = &app.context else {
        return Err(Problem::not_found("No keys", "The context is not signed; `[context] signed = true` does it."));
    };
    let mut response = axum::Json(signer.jwks()).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(response)
}
