//! `/admin/tenants/{id}/keys`: API keys. A secret is told once, in the answer that made it; a repeated answer
//! (`Idempotency-Key`) is without it.

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
use crate::model::{KeyId, Millis};
use crate::tenancy::{NewKey, issue_key, revoke_key};

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
}

/// Issue a key. `secret` is told in this answer only, and not in one that `Idempotency-Key` repeats.
#[utoipa::path(post, path = "/admin/tenants/{id}/keys", tag = "keys", request_body = CreateKey,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = KeyView), (status = 404, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn create(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let body: CreateKey = call.json()?;
    let new = NewKey { name: body.name, roles: body.roles, scopes: body.scopes, expires_at: body.expires_at };
    write(&app, &call, || async {
        let current = app.find(&id).await?;
        let (change, key, secret) = issue_key(&current, &new, &call.cause)?;
        let body = json_of(&key_view(&key, Some(secret.expose_secret().to_owned())));
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
    let data = page.items.iter().map(|key| json_of(&key_view(key, None))).collect();
    Ok(axum::Json(page_json(data, page.next)).into_response())
}

/// Revoke a key; the next request with it is refused.
#[utoipa::path(delete, path = "/admin/tenants/{id}/keys/{keyId}", tag = "keys", params(("id" = String, Path), ("keyId" = String, Path)),
    responses((status = 200, body = KeyView), (status = 404, body = ProblemView)))]
pub async fn revoke(State(app): State<App>, Path((id, key_id)): Path<(String, String)>, call: Call) -> Result<Response, Problem> {
    let missing = || Problem::not_found("Key not found", "The tenant has no such key.");
    let key_id: KeyId = key_id.parse().map_err(|_| missing())?;
    write(&app, &call, || async {
        let current = app.find(&id).await?;
        let key = app.tenants.key(current.value.id, key_id).await?.ok_or_else(missing)?;
        let body = json_of(&key_view(&key.value, None));
        Ok(Outcome::ok(revoke_key(&current, &key, &call.cause), body))
    })
    .await
}
