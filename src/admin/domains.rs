//! `/admin/tenants/{id}/domains`: the tenant's own domain and whether a certificate proves it. A tenant has one.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::call::Call;
use super::error::Problem;
use super::idempotency::{Outcome, write};
use super::views::{DomainView, ProblemView, json_of, page_json};
use super::{AdminState, App};
use crate::model::{Host, Tenant};
use crate::tenancy::set_domain;

/// A domain to add.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewDomain {
    /// The name.
    #[schema(example = "acme.com")]
    domain: String,
}

/// List a tenant's domains.
#[utoipa::path(get, path = "/admin/tenants/{id}/domains", tag = "domains", params(("id" = String, Path)),
    responses((status = 200, description = "`{\"data\": [Domain], \"nextCursor\": null}`"), (status = 404, body = ProblemView)))]
pub async fn list(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    let tenant = app.find(&id).await?;
    let data = app.domain_views(&tenant.value).iter().map(json_of).collect();
    Ok(axum::Json(page_json(data, None)).into_response())
}

/// Give a tenant its domain.
#[utoipa::path(post, path = "/admin/tenants/{id}/domains", tag = "domains", request_body = NewDomain, params(("id" = String, Path)),
    responses((status = 201, body = DomainView), (status = 409, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn add(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let body: NewDomain = call.json()?;
    write(&app, &call, || async {
        let current = app.find(&id).await?;
        call.check_match(&current)?;
        let change = set_domain(&current, Some(&body.domain), &app.config, &call.cause)?;
        let (old, new) = (&current.value.custom_domain, &change.tenant.custom_domain);
        if let Some(old) = old.as_ref().filter(|_| old != new) {
            let detail = format!("The tenant has the domain {old}; remove it first, or change customDomain.");
            return Err(Problem::new(StatusCode::CONFLICT, "domain_limit", "One domain per tenant", detail));
        }
        let status = if old == new { StatusCode::OK } else { StatusCode::CREATED };
        let body = app.domain_views(&change.tenant).first().map_or(Value::Null, json_of);
        Ok(Outcome { change, status, body, secret: None })
    })
    .await
}

/// Read one domain.
#[utoipa::path(get, path = "/admin/tenants/{id}/domains/{domain}", tag = "domains", params(("id" = String, Path), ("domain" = String, Path)),
    responses((status = 200, body = DomainView), (status = 404, body = ProblemView)))]
pub async fn read(State(app): State<App>, Path((id, domain)): Path<(String, String)>) -> Result<Response, Problem> {
    let tenant = app.find(&id).await?;
    Ok(axum::Json(app.one_domain(&tenant.value, &domain)?).into_response())
}

/// Look again whether a certificate proves the domain; `verified` says so.
#[utoipa::path(post, path = "/admin/tenants/{id}/domains/{domain}/verify", tag = "domains",
    params(("id" = String, Path), ("domain" = String, Path)),
    responses((status = 200, body = DomainView), (status = 404, body = ProblemView)))]
pub async fn verify(State(app): State<App>, Path((id, domain)): Path<(String, String)>) -> Result<Response, Problem> {
    let tenant = app.find(&id).await?;
    Ok(axum::Json(app.one_domain(&tenant.value, &domain)?).into_response())
}

/// Take the domain from the tenant.
#[utoipa::path(delete, path = "/admin/tenants/{id}/domains/{domain}", tag = "domains",
    params(("id" = String, Path), ("domain" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = DomainView), (status = 404, body = ProblemView)))]
pub async fn remove(State(app): State<App>, Path((id, domain)): Path<(String, String)>, call: Call) -> Result<Response, Problem> {
    write(&app, &call, || async {
        let current = app.find(&id).await?;
        call.check_match(&current)?;
        let body = json_of(&app.one_domain(&current.value, &domain)?);
        Ok(Outcome::ok(set_domain(&current, None, &app.config, &call.cause)?, body))
    })
    .await
}

impl AdminState {
    fn one_domain(&self, tenant: &Tenant, domain: &str) -> Result<DomainView, Problem> {
        let wanted = Host::parse(domain).ok();
        let found = self.domain_views(tenant).into_iter().find(|view| Some(&view.domain) == wanted.as_ref());
        found.ok_or_else(|| Problem::not_found("Domain not found", "The tenant has no such domain."))
    }
}
