//! `/admin/tenants`: create, list, read, change and delete tenants.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::App;
use super::call::{Call, etag, present};
use super::error::Problem;
use super::idempotency::{Outcome, write};
use super::views::{OneOrMany, ProblemView, TenantView, page_json};
use crate::model::{BillingCycle, Status, Tenant, TenantId};
use crate::tenancy::{Filter, Move, NewTenant, Order, TenantPatch, Versioned, create_tenant, did_you_mean, move_tenant, update_tenant};

/// What a new tenant shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateTenant {
    /// 1 to 200 characters.
    #[schema(example = "Acme Corp")]
    name: String,
    /// Label under the base domain: `a–z`, `0–9`, inner `-`.
    #[schema(example = "acme")]
    slug: String,
    /// Name of a plan.
    #[schema(example = "pro")]
    plan: String,
    /// `monthly` (default) or `yearly`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "monthly")]
    billing_cycle: BillingCycle,
    /// A domain of its own.
    custom_domain: Option<String>,
    /// Laid over the default branding, features and settings.
    #[schema(value_type = Option<Object>)]
    config: Option<Value>,
    /// Kept for the operator, at most 16 KiB.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// Where its requests go instead of the default upstream.
    upstream: Option<OneOrMany>,
    /// Whom invoices are issued to: `{name, address: [], country, vatId, email, taxExempt}`.
    #[schema(value_type = Option<Object>)]
    billing: Option<Value>,
}

/// What shall be different.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateTenant {
    /// Another name.
    #[serde(default, deserialize_with = "present")]
    name: Option<String>,
    /// Another domain; `null` removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    custom_domain: Option<Option<String>>,
    /// JSON merge patch.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    config: Option<Value>,
    /// JSON merge patch.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// Other upstreams; `null` is the default one.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<OneOrMany>)]
    upstream: Option<Option<OneOrMany>>,
    /// Whom invoices are issued to, a JSON merge patch: `{name, address: [], country, vatId, email, taxExempt}`.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    billing: Option<Value>,
}

/// Create a tenant.
#[utoipa::path(post, path = "/admin/tenants", tag = "tenants", request_body = CreateTenant,
    params(("Idempotency-Key" = Option<String>, Header, description = "The request is done once in 24 hours; its answer is repeated.")),
    responses((status = 201, body = TenantView), (status = 409, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn create(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let body: CreateTenant = call.json()?;
    let new = NewTenant {
        name: body.name,
        slug: body.slug,
        plan: body.plan,
        billing_cycle: body.billing_cycle,
        custom_domain: body.custom_domain,
        config: body.config,
        metadata: body.metadata,
        upstream: body.upstream.map(OneOrMany::into_vec).unwrap_or_default(),
        billing: body.billing,
    };
    write(&app, &call, || async {
        let change = create_tenant(&new, app.biller.desk(), &call.cause)?;
        app.tenants.check_upstream(&change.tenant.upstream).await?;
        let body = app.changed_json(&change);
        Ok(Outcome { change, status: StatusCode::CREATED, body, secret: None })
    })
    .await
}

/// List tenants, newest first; deleted ones only with `status=deleted`.
#[utoipa::path(get, path = "/admin/tenants", tag = "tenants",
    params(("status" = Option<String>, Query), ("plan" = Option<String>, Query),
        ("q" = Option<String>, Query, description = "Part of the name, slug or domain."),
        ("limit" = Option<u16>, Query, description = "1 to 500, 50 by default."), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "`{\"data\": [Tenant], \"nextCursor\": …}`"), (status = 422, body = ProblemView)))]
pub async fn list(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let query = call.query(&["status", "plan", "q", "limit", "cursor"])?;
    let cursor = query.parse::<TenantId>("cursor", "what `nextCursor` said")?;
    let filter = Filter {
        status: query.get("status").map(status_of).transpose()?,
        plan: query.get("plan").map(str::to_owned),
        text: query.get("q").map(str::to_owned),
    };
    let page = app.tenants.list(&filter, cursor, query.limit()?).await?;
    let data = page.items.iter().map(|tenant| app.tenant_json(&tenant.value)).collect();
    Ok(axum::Json(page_json(data, page.next)).into_response())
}

/// Read a tenant.
#[utoipa::path(get, path = "/admin/tenants/{id}", tag = "tenants", params(("id" = String, Path, description = "Id or slug.")),
    responses((status = 200, body = TenantView), (status = 304, description = "Not changed"), (status = 404, body = ProblemView)))]
pub async fn read(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let tenant = app.find(&id).await?;
    Ok(tagged(&call, &tenant, app.tenant_json(&tenant.value)))
}

/// Change name, domain, config, metadata or upstream.
#[utoipa::path(patch, path = "/admin/tenants/{id}", tag = "tenants", request_body = UpdateTenant,
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = TenantView), (status = 409, body = ProblemView), (status = 412, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn update(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let body: UpdateTenant = call.json()?;
    let patch = TenantPatch {
        name: body.name,
        custom_domain: body.custom_domain,
        config: body.config,
        metadata: body.metadata,
        upstream: body.upstream.map(|given| given.map(OneOrMany::into_vec).unwrap_or_default()),
        billing: body.billing,
    };
    write(&app, &call, || async {
        let current = app.find(&id).await?;
        call.check_match(&current)?;
        let claims = app.keeper.domains().of(current.value.id).await?;
        let change = update_tenant(&current, &claims, &patch, ("tenant.updated", "/config"), &app.config, &call.cause)?;
        if patch.upstream.is_some() {
            app.tenants.check_upstream(&change.tenant.upstream).await?;
        }
        let body = app.changed_json(&change);
        Ok(Outcome::ok(change, body))
    })
    .await
}

/// Delete a tenant softly: its data stays, its slug and domains are kept for it for a while (`tenancy.keep_deleted`).
#[utoipa::path(delete, path = "/admin/tenants/{id}", tag = "tenants", params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = TenantView), (status = 404, body = ProblemView), (status = 412, body = ProblemView)))]
pub async fn delete(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    write(&app, &call, || async {
        let current = app.find(&id).await?;
        call.check_match(&current)?;
        let claims = app.keeper.domains().of(current.value.id).await?;
        let metered = app.biller.metered(&current.value, call.cause.now).await?;
        let order = Order { wanted: Move::Delete, reason: None, at_period_end: false, claims: &claims, metered: &metered };
        let change = move_tenant(&current, &order, app.biller.desk(), &call.cause)?;
        let body = app.changed_json(&change);
        Ok(Outcome::ok(change, body))
    })
    .await
}

/// A body with the tenant's entity tag, or 304 where the client has it.
pub fn tagged(call: &Call, tenant: &Versioned<Tenant>, body: Value) -> Response {
    let tag = etag(tenant);
    let has = call.headers.get(header::IF_NONE_MATCH).and_then(|field| field.to_str().ok());
    let has = has.is_some_and(|field| field.split(',').map(str::trim).any(|given| given.trim_start_matches("W/") == tag));
    let mut response = if has { StatusCode::NOT_MODIFIED.into_response() } else { axum::Json(body).into_response() };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn status_of(text: &str) -> Result<Status, Problem> {
    Status::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
        let hint = did_you_mean(text, Status::ALL.iter().map(|status| status.as_str()));
        Problem::field("/query/status", "invalid", format!("there is no such status{hint}"))
    })
}
