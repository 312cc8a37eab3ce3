//! `/admin/tenants/{id}/issuers`: whose tokens are believed for one tenant, and how their keys are doing.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::App;
use super::call::{Call, part};
use super::error::Problem;
use super::idempotency::{Outcome, write};
use super::views::{ProblemView, json_of};
use crate::model::{Issuer, KeySource, Tenant, TokenAlgorithm};
use crate::tenancy::{FieldError, set_issuers};

/// The issuers of a tenant.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Issuers {
    /// All of them; what is not named any more is not believed any more.
    #[schema(value_type = Vec<IssuerBody>)]
    issuers: Vec<Value>,
}

/// An identity provider of one tenant.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssuerBody {
    /// What its tokens say in `iss`, to the letter.
    #[schema(example = "https://login.acme.com")]
    issuer: String,
    /// Of which `aud` names one. Nobody else may have the same issuer and audience.
    audience: Vec<String>,
    /// Where its keys are, a JWK set; without it and `jwks`, `<issuer>/.well-known/openid-configuration` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jwks_url: Option<String>,
    /// Its keys, where they never change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    jwks: Option<Value>,
    /// `RS256` … `EdDSA`; all that are safe where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    algorithms: Option<Vec<String>>,
    /// The claim that has to name the tenant by id or slug; where left out, every token of the issuer is the tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant_claim: Option<String>,
    /// `sub` where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_claim: Option<String>,
    /// `roles` where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    roles_claim: Option<String>,
    /// `scope` where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scopes_claim: Option<String>,
    /// By how much clocks may differ, 30 where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leeway_seconds: Option<u32>,
    /// Whether the app gets the token, `true` where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forward: Option<bool>,
}

/// The issuers of a tenant, with how many keys of each are known and why the last attempt to fetch them failed, if it did.
#[utoipa::path(get, path = "/admin/tenants/{id}/issuers", tag = "issuers", params(("id" = String, Path)),
    responses((status = 200, description = "`{\"data\": [Issuer with keys: {known, error}]}`"), (status = 404, body = ProblemView)))]
pub async fn list(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    let tenant = app.find(&id).await?;
    Ok(axum::Json(json!({"data": views(&app, &tenant.value)})).into_response())
}

/// Believe these issuers' tokens for the tenant, and no others.
#[utoipa::path(put, path = "/admin/tenants/{id}/issuers", tag = "issuers", request_body = Issuers,
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "As GET"), (status = 409, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn replace(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let body: Issuers = call.json()?;
    let (mut issuers, mut errors) = (Vec::new(), Vec::new());
    for (index, value) in body.issuers.into_iter().enumerate() {
        match part::<IssuerBody>(value, &format!("/issuers/{index}")).and_then(|body| issuer_of(body, index)) {
            Ok(issuer) => issuers.push(issuer),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    write(&app, &call, || async {
        let current = app.find(&id).await?;
        call.check_match(&current)?;
        let change = set_issuers(&current, issuers.clone(), &app.config, &call.cause)?;
        let body = json!({"data": change.tenant.issuers.iter().map(|issuer| json_of(&body_of(issuer))).collect::<Vec<_>>()});
        Ok(Outcome::ok(change, body))
    })
    .await
}

fn views(app: &App, tenant: &Tenant) -> Vec<Value> {
    let runtime = app.tenants.directory.by_id(tenant.id);
    let verifiers = runtime.map(|runtime| runtime.facts_owned());
    let view = |issuer: &Issuer| {
        let mut view = json_of(&body_of(issuer));
        let known = verifiers.iter().flat_map(|facts| facts.verifiers.iter()).find(|verifier| verifier.issuer() == issuer);
        let keys = known.map(|verifier| verifier.keys());
        let count = keys.and_then(|keys| keys.current()).map_or(0, |keys| keys.len());
        view["keys"] = json!({"known": count, "error": keys.and_then(|keys| keys.trouble())});
        view
    };
    tenant.issuers.iter().map(view).collect()
}

fn issuer_of(body: IssuerBody, index: usize) -> Result<Issuer, FieldError> {
    let fault = |member: &str, detail: &str| FieldError::new(format!("/issuers/{index}/{member}"), "invalid", detail);
    let usual = Issuer::usual(body.issuer, body.audience);
    let keys = match (body.jwks_url, body.jwks) {
        (None, None) => KeySource::Discovered,
        (Some(url), None) => KeySource::Url(url),
        (None, Some(keys)) => KeySource::Given(keys),
        (Some(_), Some(_)) => return Err(fault("jwks", "the keys come from `jwksUrl` or are given as `jwks`; leave one out")),
    };
    let algorithm = |name: &String| TokenAlgorithm::ALL.iter().find(|(known, _)| known == name).map(|(_, algorithm)| *algorithm);
    let algorithms = match &body.algorithms {
        None => usual.algorithms.clone(),
        Some(names) => names.iter().map(algorithm).collect::<Option<Vec<_>>>().ok_or_else(|| {
            let known = TokenAlgorithm::ALL.map(|(name, _)| name).join(", ");
            fault("algorithms", &format!("of these: {known}; `none` and HMAC are never taken"))
        })?,
    };
    Ok(Issuer {
        keys,
        algorithms,
        tenant_claim: body.tenant_claim,
        user_claim: body.user_claim.unwrap_or_else(|| usual.user_claim.clone()),
        roles_claim: body.roles_claim.unwrap_or_else(|| usual.roles_claim.clone()),
        scopes_claim: body.scopes_claim.unwrap_or_else(|| usual.scopes_claim.clone()),
        leeway_seconds: body.leeway_seconds.unwrap_or(usual.leeway_seconds),
        forward: body.forward.unwrap_or(usual.forward),
        ..usual
    })
}

/// An issuer with all that holds of it.
fn body_of(issuer: &Issuer) -> IssuerBody {
    let (jwks_url, jwks) = match &issuer.keys {
        KeySource::Discovered => (None, None),
        KeySource::Url(url) => (Some(url.clone()), None),
        KeySource::Given(keys) => (None, Some(keys.clone())),
    };
    let name = |algorithm: &TokenAlgorithm| TokenAlgorithm::ALL.iter().find(|(_, it)| it == algorithm).map(|(name, _)| (*name).to_owned());
    IssuerBody {
        issuer: issuer.issuer.clone(),
        audience: issuer.audience.clone(),
        jwks_url,
        jwks,
        algorithms: Some(issuer.algorithms.iter().filter_map(name).collect()),
        tenant_claim: issuer.tenant_claim.clone(),
        user_claim: Some(issuer.user_claim.clone()),
        roles_claim: Some(issuer.roles_claim.clone()),
        scopes_claim: Some(issuer.scopes_claim.clone()),
        leeway_seconds: Some(issuer.leeway_seconds),
        forward: Some(issuer.forward),
    }
}
