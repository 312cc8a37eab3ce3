//! `/admin/tenants/{id}/keys`: API keys. A secret is told once, in the answer that made it; a repeated answer
//! (`Idempotency-Key`) is without it.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use secrecy::ExposeSecret;
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::call::Call;
use super::error::Problem;
use super::idempotency::{Outcome, write};
use super::views::{KeyView, ProblemView, json_of, key_view, page_json};
use crate::config::read_duration;
use crate::model::{ApiKey, KeyId, KeyMode, Millis};
use crate::tenancy::{LONGEST_OVERLAP, NewKey, issue_key, revoke_key, rotate_key};

/// How long a key goes on beside the one in its place, where nobody says.
const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

/// What a key shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateKey {
    /// What its owner calls it.
    #[schema(example = "CI")]
    name: String,
    /// Roles that a request with it has.
    #[serde(default)]
    roles: Vec<String>,
    /// What it may be used for.
    #[serde(default)]
    scopes: Vec<String>,
    /// From when on it is refused, epoch milliseconds.
    #[schema(value_type = Option<i64>)]
    expires_at: Option<Millis>,
    /// `live` (as where left out) or `test`: what the key begins with, `gh_live_` or `gh_test_`. Both do the same.
    #[schema(value_type = Option<String>)]
    mode: Option<KeyMode>,
}

/// How a key is replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotateKey {
    /// How long the old key goes on: `24h` where left out, `0s` ends it at once, at most `90d`.
    #[schema(example = "24h")]
    overlap: Option<String>,
    /// From when on the new key is refused, epoch milliseconds; where left out it lives as long as the old one was to live.
    #[schema(value_type = Option<i64>)]
    expires_at: Option<Millis>,
}

/// Issue a key. `secret` is told in this answer only, and not in one that `Idempotency-Key` repeats.
#[utoipa::path(post, path = "/admin/tenants/{id}/keys", tag = "keys", request_body = CreateKey,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = KeyView), (status = 404, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn create(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let body: CreateKey = call.json()?;
    let mode = body.mode.unwrap_or_default();
    let new = NewKey { name: body.name, roles: body.roles, scopes: body.scopes, expires_at: body.expires_at, mode };
    write(&app, &call, || async {
        let current = app.find(&id).await?;
        let (change, key, secret) = issue_key(&current, &new, &call.cause)?;
        let body = json_of(&key_view(&key, None, Some(secret.expose_secret().to_owned())));
        Ok(Outcome { change, status: StatusCode::CREATED, body, secret: Some("secret") })
    })
    .await
}

/// List a tenant's keys, oldest first.
#[utoipa::path(get, path = "/admin/tenants/{id}/keys", tag = "keys",
    params(("id" = String, Path), ("limit" = Option<u16>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "`{\"data\": [ApiKey], \"nextCursor\": …}`"), (status = 404, body = ProblemView)))]
pub async fn list(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let query = call.query(&["limit", "cursor"])?;
    let cursor = query.parse::<KeyId>("cursor", "what `nextCursor` said")?;
    let tenant = app.find(&id).await?;
    let page = app.tenants.keys(tenant.value.id, cursor, query.limit()?).await?;
    let used = |key: &ApiKey| app.tenants.directory.key_used(key.id);
    let data = page.items.iter().map(|key| json_of(&key_view(key, used(key), None))).collect();
    Ok(axum::Json(page_json(data, page.next)).into_response())
}

/// Replace a key by a new one with the same name, roles and scopes; the old one goes on for a while, so that nobody is cut off.
/// `secret` is told in this answer only.
#[utoipa::path(post, path = "/admin/tenants/{id}/keys/{keyId}/rotate", tag = "keys", request_body = RotateKey,
    params(("id" = String, Path), ("keyId" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = KeyView), (status = 404, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn rotate(State(app): State<App>, Path((id, key_id)): Path<(String, String)>, call: Call) -> Result<Response, Problem> {
    let key_id: KeyId = key_id.parse().map_err(|_| missing())?;
    let body: RotateKey = call.json_or_empty()?;
    let overlap = match &body.overlap {
        None => DEFAULT_OVERLAP,
        Some(text) => read_duration(text)
            .filter(|overlap| *overlap <= LONGEST_OVERLAP)
            .ok_or_else(|| Problem::field("/overlap", "invalid", "a duration such as \"24h\" or \"0s\", at most 90 days"))?,
    };
    write(&app, &call, || async {
        let current = app.find(&id).await?;
        let old = app.tenants.key(current.value.id, key_id).await?.ok_or_else(missing)?;
        let (change, key, secret) = rotate_key(&current, &old, overlap, body.expires_at, &call.cause)?;
        let body = json_of(&key_view(&key, None, Some(secret.expose_secret().to_owned())));
        Ok(Outcome { change, status: StatusCode::CREATED, body, secret: Some("secret") })
    })
    .await
}

fn missing() -> Problem {
    Problem::not_found("Key not found", "The tenant has no such key.")
}

/// Revoke a key; the next request with it is refused.
#[utoipa::path(delete, path = "/admin/tenants/{id}/keys/{keyId}", tag = "keys", params(("id" = String, Path), ("keyId" = String, Path)),
    responses((status = 200, body = KeyView), (status = 404, body = ProblemView)))]
pub async fn revoke(State(app): State<App>, Path((id, key_id)): Path<(String, String)>, call: Call) -> Result<Response, Problem> {
    let key_id: KeyId = key_id.parse().map_err(|_| missing())?;
    write(&app, &call, || async {
        let current = app.find(&id).await?;
        let key = app.tenants.key(current.value.id, key_id).await?.ok_or_else(missing)?;
        let body = json_of(&key_view(&key.value, app.tenants.directory.key_used(key_id), None));
        Ok(Outcome::ok(revoke_key(&current, &key, &call.cause), body))
    })
    .await
}
