//! Which role may make which call of the admin API, as one table. What is not in it: every role may read, and writes are for owners.

use http::{Method, StatusCode};

use super::auth::Actor;
use super::error::Problem;
use crate::model::Role;

/// Who may, beside owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Owner,
    Support,
    Billing,
}

/// Calls that not every role may make.
const TABLE: &[(Needs, &str, &str)] = &[
    // Who looks after tenants.
    (Needs::Support, "POST", "/admin/tenants"),
    (Needs::Support, "PATCH", "/admin/tenants/{id}"),
    (Needs::Support, "POST", "/admin/tenants/{id}/suspend"),
    (Needs::Support, "POST", "/admin/tenants/{id}/activate"),
    (Needs::Support, "PATCH", "/admin/tenants/{id}/config"),
    (Needs::Support, "PUT", "/admin/tenants/{id}/features/{flag}"),
    (Needs::Support, "DELETE", "/admin/tenants/{id}/features/{flag}"),
    (Needs::Support, "PUT", "/admin/tenants/{id}/config/features/{flag}"),
    (Needs::Support, "DELETE", "/admin/tenants/{id}/config/features/{flag}"),
    (Needs::Support, "POST", "/admin/tenants/{id}/domains"),
    (Needs::Support, "PATCH", "/admin/tenants/{id}/domains/{domain}"),
    (Needs::Support, "DELETE", "/admin/tenants/{id}/domains/{domain}"),
    (Needs::Support, "POST", "/admin/tenants/{id}/domains/{domain}/verify"),
    (Needs::Support, "POST", "/admin/tenants/{id}/domains/{domain}/renew"),
    (Needs::Support, "POST", "/admin/tenants/{id}/keys"),
    (Needs::Support, "DELETE", "/admin/tenants/{id}/keys/{keyId}"),
    (Needs::Support, "POST", "/admin/tenants/{id}/keys/{keyId}/rotate"),
    (Needs::Support, "POST", "/admin/events/test"),
    (Needs::Support, "POST", "/admin/events/{id}/resend"),
    // Who looks after money.
    (Needs::Billing, "PUT", "/admin/tenants/{id}/subscription"),
    (Needs::Billing, "POST", "/admin/tenants/{id}/cancel"),
    (Needs::Billing, "POST", "/admin/tenants/{id}/usage"),
    (Needs::Billing, "PUT", "/admin/tenants/{id}/payment-method"),
    (Needs::Billing, "DELETE", "/admin/tenants/{id}/payment-method"),
    (Needs::Billing, "POST", "/admin/invoices/{id}/pay"),
    (Needs::Billing, "POST", "/admin/invoices/{id}/void"),
    (Needs::Billing, "POST", "/admin/invoices/{id}/uncollectible"),
    (Needs::Billing, "POST", "/admin/invoices/{id}/credit"),
    (Needs::Billing, "POST", "/admin/plans"),
    (Needs::Billing, "DELETE", "/admin/plans/{name}"),
    (Needs::Billing, "POST", "/admin/add-ons"),
    (Needs::Billing, "DELETE", "/admin/add-ons/{name}"),
    // What cannot be undone, or decides who may do anything.
    (Needs::Owner, "DELETE", "/admin/tenants/{id}"),
    (Needs::Owner, "POST", "/admin/tenants/{id}/restore"),
    (Needs::Owner, "PUT", "/admin/tenants/{id}/issuers"),
    (Needs::Owner, "PUT", "/admin/features/{flag}"),
    (Needs::Owner, "DELETE", "/admin/features/{flag}"),
    (Needs::Owner, "POST", "/admin/clock"),
    (Needs::Owner, "GET", "/admin/operators"),
    (Needs::Owner, "POST", "/admin/operators"),
    (Needs::Owner, "DELETE", "/admin/operators/{id}"),
];

/// Answered without any token.
pub(super) const OPEN: [&str; 4] = ["/livez", "/readyz", "/webhooks/stripe", "/.well-known/jwks.json"];

/// The roles that may make a call; `path` as the OpenAPI document has it. Of what is answered without a token, all.
pub(super) fn roles(method: &str, path: &str) -> &'static [Role] {
    let reads = matches!(method, "GET" | "HEAD" | "OPTIONS");
    let method = if method == "HEAD" { "GET" } else { method };
    match TABLE.iter().find(|(_, known, at)| *known == method && *at == path) {
        Some((Needs::Support, ..)) => &[Role::Owner, Role::Support],
        Some((Needs::Billing, ..)) => &[Role::Owner, Role::Billing],
        Some((Needs::Owner, ..)) => &[Role::Owner],
        None if reads || OPEN.contains(&path) => &Role::ALL,
        None => &[Role::Owner],
    }
}

/// Lets a call of `actor` on, or says which role it needs. A path that is not in the table is as one that is not in it: reads alone.
pub(super) fn check(actor: &Actor, method: &Method, path: Option<&str>) -> Result<(), Problem> {
    let allowed = roles(method.as_str(), path.unwrap_or_default());
    if allowed.contains(&actor.role) {
        return Ok(());
    }
    let needed: Vec<&str> = allowed.iter().map(|role| role.as_str()).collect();
    let detail = format!("This needs the role {}; {} has the role {}.", needed.join(" or "), actor.name, actor.role.as_str());
    Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden", detail))
}

/// Says in the OpenAPI document who may make each call.
pub(super) fn describe(document: &mut serde_json::Value) {
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten().filter(|(_, operation)| operation.is_object()) {
            let names: Vec<&str> = match OPEN.contains(&path.as_str()) {
                true => vec!["anyone"],
                false => roles(&method.to_uppercase(), path).iter().map(|role| role.as_str()).collect(),
            };
            operation["x-roles"] = names.into();
        }
    }
}

/// Each line of the table, for tests.
#[cfg(test)]
pub(super) fn lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().map(|(_, method, path)| (*method, *path))
}
