//! Resolve: the tenant comes from the authority of the request, and from nothing else a client sends.
//!
//! Order: verified custom domain, `<slug>.<base domain>`, and on an api host the API key or `X-Tenant-Id`. Over TLS the
//! authority has to belong to the name of the connection.

use std::rc::Rc;
use std::sync::Arc;

use super::connection::Listener;
use super::context::{Exchange, Worker};
use super::credentials::{Presented, presented};
use super::headers::tenant_claims;
use super::refusal::Refusal;
use super::site::{Remembered, Site};
use crate::access::is_forwarded;
use crate::config::HeaderAuth;
use crate::message::{Fields, Name};
use crate::model::Host;
use crate::tenancy::TenantRuntime;

/// A request that has found its tenant.
pub struct Resolved {
    /// Whose request it is.
    pub tenant: Arc<TenantRuntime>,
    /// The key or token it shows.
    pub presented: Presented,
    /// True on an api host where the tenant was proved, or taken on trust from a trusted network.
    pub vouched: bool,
}

/// Finds the tenant.
pub fn resolve(exchange: &mut Exchange, fields: &Fields) -> Result<Resolved, Refusal> {
    let site = locate(exchange, fields)?;
    match site {
        Site::Tenant(tenant) => {
            let facts = exchange.know(&tenant);
            check_claims(&tenant, fields)?;
            let presented = presented(&exchange.worker, fields, &facts.verifiers, exchange.time);
            Ok(Resolved { tenant, presented, vouched: false })
        }
        Site::Api => named(exchange, fields),
    }
}

/// What the request's host leads to. Refuses hosts that do not belong to the connection's name, then unknown ones.
pub fn locate(exchange: &mut Exchange, fields: &Fields) -> Result<Site, Refusal> {
    let field = fields.get(Name::Host).unwrap_or_default();
    let generation = exchange.worker.directory.generation();
    if let Some(memory) = &*exchange.connection.memory.borrow()
        && memory.generation == generation
        && *memory.field == *field
    {
        exchange.host = Some(Rc::clone(&memory.host));
        exchange.hsts = memory.hsts;
        return Ok(memory.site.clone());
    }
    let host = host_of(field).ok_or(Refusal::BadRequest("bad Host"))?;
    exchange.host = Some(Rc::from(host.as_str()));
    let site = site_of(&exchange.worker, host.as_str());
    if exchange.connection.listener == Listener::Https {
        check_name(exchange, &host, site.as_ref())?;
    }
    let site = site.ok_or(Refusal::TenantNotFound)?;
    exchange.hsts = hsts_of(exchange, &host);
    let (host, hsts) = (exchange.host.clone().unwrap_or_default(), exchange.hsts);
    let memory = Remembered { field: field.into(), generation, host, site: site.clone(), hsts, is_again: false, introduction: None };
    *exchange.connection.memory.borrow_mut() = Some(memory);
    Ok(site)
}

/// Whether the request is to the base domain itself, which is no tenant's.
pub fn own_host(exchange: &mut Exchange, fields: &Fields) -> Result<bool, Refusal> {
    let host = host_of(fields.get(Name::Host).unwrap_or_default()).ok_or(Refusal::BadRequest("bad Host"))?;
    if host != exchange.worker.config.tenancy.base_domain {
        return Ok(false);
    }
    if exchange.connection.listener == Listener::Https {
        check_name(exchange, &host, None)?;
    }
    exchange.host = Some(Rc::from(host.as_str()));
    Ok(true)
}

fn site_of(worker: &Worker, host: &str) -> Option<Site> {
    if let Some(tenant) = worker.directory.by_host(host) {
        return Some(Site::Tenant(tenant));
    }
    worker.config.tenancy.api_hosts.iter().any(|api| api.as_str() == host).then_some(Site::Api)
}

/// What the host says of TLS for the time to come: over TLS alone (RFC 6797, section 7.2), and on a tenant's own domain as its owner
/// wants.
fn hsts_of(exchange: &Exchange, host: &Host) -> Option<u32> {
    let worker = &exchange.worker;
    match exchange.connection.listener {
        Listener::Http => None,
        Listener::Https if host.is_within(&worker.config.tenancy.base_domain) => worker.config.tls.hsts,
        Listener::Https => worker.directory.hsts_of(host.as_str()),
    }
}

/// The normalised host of a Host field: without port, trailing dot and case.
pub fn host_of(field: &[u8]) -> Option<Host> {
    let text = std::str::from_utf8(field).ok()?;
    // The colons of a bracketed IPv6 address are none before a port.
    let is_port = |name: &str, port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && (name.ends_with(']') || !name.contains(':'));
    let name = text.rsplit_once(':').filter(|(name, port)| is_port(name, port)).map_or(text, |(name, _)| name);
    Host::parse(name).ok()
}

/// Host and the connection's name are equal, lead to the same tenant, or are both api hosts; else 421 (RFC 9110, section
/// 15.5.20). A connection without SNI got the default certificate, so it speaks for hosts of the base domain only, and is
/// bound to the first it names.
fn check_name(exchange: &Exchange, host: &Host, site: Option<&Site>) -> Result<(), Refusal> {
    if !exchange.connection.has_sni && !host.is_within(&exchange.worker.config.tenancy.base_domain) {
        return Err(Refusal::Misdirected);
    }
    let mut name = exchange.connection.name.borrow_mut();
    let Some(name) = &*name else {
        *name = Some(host.as_str().into());
        return Ok(());
    };
    if **name == *host.as_str() {
        return Ok(());
    }
    match (site, site_of(&exchange.worker, name)) {
        (Some(Site::Tenant(one)), Some(Site::Tenant(other))) if one.id() == other.id() => Ok(()),
        (Some(Site::Api), Some(Site::Api)) => Ok(()),
        _ => Err(Refusal::Misdirected),
    }
}

/// On a tenant's own host, whoever says `X-Tenant-Id` must say this tenant.
fn check_claims(tenant: &TenantRuntime, fields: &Fields) -> Result<(), Refusal> {
    let mut claims = tenant_claims(fields).peekable();
    if claims.peek().is_none() {
        return Ok(());
    }
    let facts = tenant.facts();
    let is_this = |claim: &[u8]| claim == facts.labels().id_text.as_bytes() || claim == facts.tenant.slug.as_str().as_bytes();
    if claims.all(|claim| is_this(claim.trim_ascii())) {
        return Ok(());
    }
    Err(Refusal::TenantMismatch("The field X-Tenant-Id names another tenant than this host; leave it out."))
}

/// The tenant on an api host: whose key it is, whom the token names, or (from trusted networks, where so configured) whom
/// `X-Tenant-Id` names. A token of a tenant's own issuer needs that field, so that the issuer is found.
fn named(exchange: &mut Exchange, fields: &Fields) -> Result<Resolved, Refusal> {
    let worker = Rc::clone(&exchange.worker);
    let directory = &worker.directory;
    let claimed = tenant_claims(fields).next().map(|claim| std::str::from_utf8(claim).ok().and_then(|name| directory.by_name(name.trim())));
    let own = claimed.as_ref().and_then(Option::as_ref).map(|tenant| Arc::clone(&tenant.facts().verifiers));
    let presented = presented(&worker, fields, own.as_deref().unwrap_or_default(), exchange.time);
    match &presented {
        Presented::Wrong(detail) => Err(Refusal::Unauthenticated(detail)),
        Presented::User(user) => {
            let named = user.said.tenant.as_ref().map_or(claimed.flatten(), |name| directory.by_name(name));
            let tenant = named.ok_or(Refusal::TenantNotFound)?;
            exchange.know(&tenant);
            let claims = check_claims(&tenant, fields);
            claims.map_err(|_| Refusal::TenantMismatch("The token belongs to another tenant than X-Tenant-Id names."))?;
            Ok(Resolved { tenant, presented, vouched: true })
        }
        Presented::Key(entry) => {
            let tenant = directory.by_id(entry.key.tenant_id).ok_or(Refusal::TenantNotFound)?;
            exchange.know(&tenant);
            let claims = check_claims(&tenant, fields);
            claims.map_err(|_| Refusal::TenantMismatch("The API key belongs to another tenant than X-Tenant-Id names."))?;
            Ok(Resolved { tenant, presented, vouched: true })
        }
        Presented::Nothing if !is_trusted(exchange, fields) => Err(Refusal::Unauthenticated(
            "This host needs an API key of the tenant, in `Authorization: Bearer gh_…` or `X-Api-Key`, or a token that names it.",
        )),
        Presented::Nothing => {
            let named = claimed.ok_or(Refusal::Unauthenticated("Name the tenant in `X-Tenant-Id`, by id or slug."))?;
            let tenant = named.ok_or(Refusal::TenantNotFound)?;
            exchange.know(&tenant);
            check_claims(&tenant, fields)?;
            Ok(Resolved { tenant, presented, vouched: true })
        }
    }
}

/// Whether the client itself is in a trusted network. A peer that is no trusted proxy and says that it passes the request on
/// may do so for anyone.
fn is_trusted(exchange: &Exchange, fields: &Fields) -> bool {
    let tenancy = &exchange.worker.config.tenancy;
    let known = if exchange.connection.trusted { exchange.client_is_known } else { !is_forwarded(fields.iter().map(|field| field.text)) };
    known && tenancy.header_auth == HeaderAuth::None && tenancy.trusted_networks.iter().any(|network| network.contains(&exchange.client))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_lose_port_case_and_trailing_dot() {
        let host = |field: &str| host_of(field.as_bytes()).map(|host| host.as_str().to_owned());
        assert_eq!(host("ACME.example.localhost:8443").as_deref(), Some("acme.example.localhost"));
        assert_eq!(host("acme.example.localhost.").as_deref(), Some("acme.example.localhost"));
        assert_eq!(host("acme.example.localhost.:1").as_deref(), Some("acme.example.localhost"));
        assert_eq!(host("[::1]:80").as_deref(), Some("::1"));
        assert_eq!(host("127.0.0.1").as_deref(), Some("127.0.0.1"));
        for wrong in ["", ":80", "a b", "a:b", "a..b", "a:80:90", "a/b"] {
            assert_eq!(host(wrong), None, "{wrong}");
        }
    }
}
