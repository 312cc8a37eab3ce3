//! `/admin/tenants/{id}/domains` and `/admin/domains`: claims on custom domains, what they need and how they stand.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::call::{Call, Query, present};
use super::domain_views::{DomainView, RecordView};
use super::error::Problem;
use super::idempotency::{Outcome, write};
use super::views::{ProblemView, json_of, page_json};
use super::{AdminState, App};
use crate::clock::{Clock, SystemClock};
use crate::model::{CustomDomain, DomainStatus, Host, Millis, Tenant};
use crate::tenancy::{Change, FieldError, Page, TenancyError, Versioned, add_domain, did_you_mean, remove_domain, take_over};

/// What counts as `expiring` where nobody says a number of days.
const EXPIRING_DAYS: i64 = 14;

/// A domain to add.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewDomain {
    /// The name.
    #[schema(example = "acme.com")]
    domain: String,
}

/// What shall be different.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateDomain {
    /// Seconds; `null` for none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, example = 31536000)]
    hsts_max_age: Option<Option<u32>>,
}

/// List a tenant's domains, by name.
#[utoipa::path(get, path = "/admin/tenants/{id}/domains", tag = "domains",
    params(("id" = String, Path),
        ("status" = Option<String>, Query, description = "`serving`, `in_progress`, `stuck`; `at_risk` is served and needs someone, `expiring` ends within 14 days."),
        ("expiring" = Option<u32>, Query, description = "Only certificates that end within so many days."),
        ("limit" = Option<u16>, Query, description = "1 to 500, 50 by default."), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "`{\"data\": [Domain], \"nextCursor\": …}`"), (status = 404, body = ProblemView)))]
pub async fn list(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let query = call.query(&["status", "expiring", "limit", "cursor"])?;
    let (wanted, limit) = (Wanted::of(&query)?, query.limit()?);
    let tenant = app.find(&id).await?;
    let admits = |claim: &CustomDomain| wanted.admits(&app, claim);
    let page = app.keeper.domains().page_of(tenant.value.id, cursor(&query)?, limit, &admits).await?;
    app.domain_page(page).await
}

/// List the domains of all tenants, by name.
#[utoipa::path(get, path = "/admin/domains", tag = "domains",
    params(("status" = Option<String>, Query, description = "`serving`, `in_progress`, `stuck`; `at_risk` is served and needs someone, `expiring` ends within 14 days."),
        ("expiring" = Option<u32>, Query, description = "Only certificates that end within so many days."),
        ("limit" = Option<u16>, Query, description = "1 to 500, 50 by default."), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "`{\"data\": [Domain], \"nextCursor\": …}`")))]
pub async fn list_all(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let query = call.query(&["status", "expiring", "limit", "cursor"])?;
    let (wanted, limit) = (Wanted::of(&query)?, query.limit()?);
    let admits = |claim: &CustomDomain| wanted.admits(&app, claim);
    let page = app.keeper.domains().page(cursor(&query)?, limit, &admits).await?;
    app.domain_page(page).await
}

/// Read one domain, whoever's it is.
#[utoipa::path(get, path = "/admin/domains/{domain}", tag = "domains", params(("domain" = String, Path)),
    responses((status = 200, body = DomainView), (status = 404, body = ProblemView)))]
pub async fn read_any(State(app): State<App>, Path(domain): Path<String>) -> Result<Response, Problem> {
    let nobody = || Problem::not_found("Domain not found", "No tenant has such a domain.");
    let name = Host::parse(&domain).map_err(|_| nobody())?;
    let claim = app.keeper.domains().get(&name).await?.ok_or_else(nobody)?;
    Ok(axum::Json(app.domain_view(&claim.value).await).into_response())
}

/// Claim a domain for a tenant. The answer says which DNS records prove it and lead its visitors here. A name that another tenant
/// claims is refused; while that one has not proved it, the answer says which record would.
#[utoipa::path(post, path = "/admin/tenants/{id}/domains", tag = "domains", request_body = NewDomain, params(("id" = String, Path)),
    responses((status = 201, body = DomainView), (status = 409, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn add(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Problem> {
    let body: NewDomain = call.json()?;
    write(&app, &call, || async {
        let current = app.find(&id).await?;
        call.check_match(&current)?;
        let claims = app.keeper.domains().of(current.value.id).await?;
        let (change, claim) = match add_domain(&current, &claims, &body.domain, &app.config, &call.cause)? {
            (change, claim) if change.is_empty() => (change, claim),
            (change, claim) => match app.keeper.domains().get(&claim.name).await?.filter(|known| known.value.tenant_id != current.value.id)
            {
                Some(known) => app.contend(&current, &known, &call).await?,
                None => (change, claim),
            },
        };
        let status = if change.is_empty() { StatusCode::OK } else { StatusCode::CREATED };
        let body = json_of(&app.domain_view(&claim).await);
        Ok(Outcome { change, status, body, secret: None })
    })
    .await
}

/// Read one domain.
#[utoipa::path(get, path = "/admin/tenants/{id}/domains/{domain}", tag = "domains", params(("id" = String, Path), ("domain" = String, Path)),
    responses((status = 200, body = DomainView), (status = 404, body = ProblemView)))]
pub async fn read(State(app): State<App>, Path((id, domain)): Path<(String, String)>) -> Result<Response, Problem> {
    let tenant = app.find(&id).await?;
    let claim = app.claim_of(&tenant.value, &domain).await?;
    Ok(axum::Json(app.domain_view(&claim).await).into_response())
}

/// Change what the domain says of itself: `hstsMaxAge` makes its visitors insist on TLS (Strict-Transport-Security, without
/// includeSubDomains) for so many seconds after each visit. `null` says nothing; 0 makes them forget.
#[utoipa::path(patch, path = "/admin/tenants/{id}/domains/{domain}", tag = "domains", request_body = UpdateDomain,
    params(("id" = String, Path), ("domain" = String, Path)),
    responses((status = 200, body = DomainView), (status = 404, body = ProblemView), (status = 422, body = ProblemView)))]
pub async fn update(State(app): State<App>, Path((id, domain)): Path<(String, String)>, call: Call) -> Result<Response, Problem> {
    let body: UpdateDomain = call.json()?;
    let tenant = app.find(&id).await?;
    let mut claim = app.claim_of(&tenant.value, &domain).await?;
    if let Some(max_age) = body.hsts_max_age {
        if max_age.is_some() && app.keeper.certificates().is_none() {
            let detail = "something in front ends TLS (tls.mode = \"off\"); it is there that visitors are told to insist on it";
            return Err(Problem::field("/hstsMaxAge", "not_available", detail));
        }
        claim = app.keeper.set_hsts(&claim.name, max_age, &call.cause).await?.ok_or_else(no_domain)?;
    }
    Ok(axum::Json(app.domain_view(&claim).await).into_response())
}

/// Look at the domain's DNS records now, and order its certificate where they are right. The order itself goes on after the answer.
#[utoipa::path(post, path = "/admin/tenants/{id}/domains/{domain}/verify", tag = "domains",
    params(("id" = String, Path), ("domain" = String, Path)),
    responses((status = 200, body = DomainView), (status = 404, body = ProblemView)))]
pub async fn verify(State(app): State<App>, Path((id, domain)): Path<(String, String)>, call: Call) -> Result<Response, Problem> {
    let tenant = app.find(&id).await?;
    let claim = app.claim_of(&tenant.value, &domain).await?;
    let found = app.keeper.check_now(&claim.name, &call.cause).await?.ok_or_else(no_domain)?;
    Ok(axum::Json(app.domain_view(&found).await).into_response())
}

/// Order a new certificate, though the one that is there is good for a while.
#[utoipa::path(post, path = "/admin/tenants/{id}/domains/{domain}/renew", tag = "domains",
    params(("id" = String, Path), ("domain" = String, Path)),
    responses((status = 200, body = DomainView), (status = 404, body = ProblemView), (status = 409, body = ProblemView)))]
pub async fn renew(State(app): State<App>, Path((id, domain)): Path<(String, String)>, call: Call) -> Result<Response, Problem> {
    let tenant = app.find(&id).await?;
    let claim = app.claim_of(&tenant.value, &domain).await?;
    if !app.keeper.orders_certificates() {
        let detail = "Certificates come from files here (tls.mode); replace the pair in tls.cert_dir.";
        return Err(Problem::new(StatusCode::CONFLICT, "no_authority", "No certificate authority", detail));
    }
    let found = app.keeper.renew(&claim.name, &call.cause).await?.ok_or_else(no_domain)?;
    Ok(axum::Json(app.domain_view(&found).await).into_response())
}

/// Take the domain from the tenant, with its certificate and key. Whoever claims it next has to prove it anew.
#[utoipa::path(delete, path = "/admin/tenants/{id}/domains/{domain}", tag = "domains",
    params(("id" = String, Path), ("domain" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = DomainView), (status = 404, body = ProblemView)))]
pub async fn remove(State(app): State<App>, Path((id, domain)): Path<(String, String)>, call: Call) -> Result<Response, Problem> {
    write(&app, &call, || async {
        let current = app.find(&id).await?;
        call.check_match(&current)?;
        let claims = app.keeper.domains().of(current.value.id).await?;
        let wanted = Host::parse(&domain).ok();
        let claim = claims.iter().find(|claim| Some(&claim.name) == wanted.as_ref()).ok_or_else(no_domain)?;
        let change = remove_domain(&current, &claims, &claim.name, &call.cause)?;
        Ok(Outcome::ok(change, json_of(&app.domain_view(claim).await)))
    })
    .await
}

impl AdminState {
    async fn claim_of(&self, tenant: &Tenant, domain: &str) -> Result<CustomDomain, Problem> {
        let name = Host::parse(domain).map_err(|_| no_domain())?;
        let claim = self.keeper.domains().get(&name).await?.filter(|claim| claim.value.tenant_id == tenant.id);
        claim.map(|claim| claim.value).ok_or_else(no_domain)
    }

    /// A domain that another tenant claims: it goes to the one that proves it, unless the other has.
    async fn contend(
        &self,
        current: &Versioned<Tenant>,
        known: &Versioned<CustomDomain>,
        call: &Call,
    ) -> Result<(Change, CustomDomain), Problem> {
        let (name, tenant) = (&known.value.name, current.value.id);
        // A record in DNS is more than a file, which says nothing of whose the name is.
        if known.value.is_proved() {
            return Err(taken(format!("the domain `{name}` belongs to another tenant")));
        }
        let proved = self.keeper.is_proved_for(&known.value, tenant).await;
        if proved.as_ref().is_ok_and(|proved| *proved)
            && let Some(loser) = self.tenants.by_id(known.value.tenant_id).await?
        {
            let claims = self.keeper.domains().of(loser.value.id).await?;
            return Ok(take_over(current, (&loser, &claims, known), &call.cause)?);
        }
        let record = self.keeper.proof_record(&known.value, known.value.proof_for(tenant));
        let failure = proved.err().map(|failure| format!(" ({failure})")).unwrap_or_default();
        let detail = format!(
            "another tenant claims `{name}` and has not proved it; to take it, set the TXT record {} to {} and ask again{failure}",
            record.name, record.value
        );
        Err(taken(detail).with_member("records", json_of(&[RecordView::from(record)])))
    }

    async fn domain_page(&self, page: Page<CustomDomain>) -> Result<Response, Problem> {
        let mut data = Vec::with_capacity(page.items.len());
        for claim in &page.items {
            data.push(json_of(&self.domain_view(claim).await));
        }
        Ok(axum::Json(page_json(data, page.next)).into_response())
    }
}

/// Which domains a list has.
struct Wanted {
    status: Option<DomainStatus>,
    at_risk: bool,
    expires_before: Option<Millis>,
}

impl Wanted {
    fn of(query: &Query) -> Result<Self, Problem> {
        let now = SystemClock.now();
        let days = query.parse::<u32>("expiring", "a number of days")?;
        let expires_before = days.map(|days| now.plus_days(i64::from(days)));
        match query.get("status") {
            None => Ok(Self { status: None, at_risk: false, expires_before }),
            Some("expiring") => {
                Ok(Self { status: None, at_risk: false, expires_before: expires_before.or(Some(now.plus_days(EXPIRING_DAYS))) })
            }
            Some("at_risk") => Ok(Self { status: Some(DomainStatus::Serving), at_risk: true, expires_before }),
            Some(text) => {
                let status = DomainStatus::ALL.into_iter().find(|status| status.as_str() == text);
                let known = DomainStatus::ALL.iter().map(|status| status.as_str()).chain(["at_risk", "expiring"]);
                let hint = did_you_mean(text, known);
                let wrong = || Problem::field("/query/status", "invalid", format!("there is no such status{hint}"));
                Ok(Self { status: Some(status.ok_or_else(wrong)?), at_risk: false, expires_before })
            }
        }
    }

    fn admits(&self, app: &AdminState, claim: &CustomDomain) -> bool {
        let (now, name) = (SystemClock.now(), claim.name.as_str());
        let standing = || app.keeper.certificates().and_then(|certificates| certificates.standing(name));
        (!self.at_risk || claim.needs(now).is_some())
            && self.status.is_none_or(|status| claim.status(app.keeper.serves(name, now), now) == status)
            && self.expires_before.is_none_or(|end| standing().is_some_and(|standing| standing.not_after < end))
    }
}

fn cursor(query: &Query) -> Result<Option<String>, Problem> {
    let cursor = query.parse::<Host>("cursor", "what `nextCursor` said")?;
    Ok(cursor.map(|name| name.to_string()))
}

fn no_domain() -> Problem {
    Problem::not_found("Domain not found", "The tenant has no such domain.")
}

fn taken(detail: String) -> Problem {
    TenancyError::Taken(vec![FieldError::new("/domain", "domain_taken", detail)]).into()
}
