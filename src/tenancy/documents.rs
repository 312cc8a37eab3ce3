//! What a tenant is told of itself: the documents of the tenant API, the same on every listener.

use serde_json::{Value, json};

use super::Facts;
use crate::model::{Limits, Slug, Status, Tenant, TenantId, Usage};

/// `GET /api/tenant`, of a stored tenant that has these flags on.
pub fn tenant_document(tenant: &Tenant, features: &[String]) -> Value {
    document(tenant.id, &tenant.name, &tenant.slug, tenant.status, &tenant.plan, (&json!(tenant.config), features))
}

/// `GET /api/tenant`, of a tenant in the directory.
pub fn known_tenant_document(facts: &Facts) -> Value {
    let tenant = &facts.tenant;
    document(tenant.id, &tenant.name, &tenant.slug, tenant.status, &facts.plan.name, (&tenant.config(), facts.features()))
}

fn document(id: TenantId, name: &str, slug: &Slug, status: Status, plan: &str, (config, features): (&Value, &[String])) -> Value {
    json!({ "id": id, "name": name, "slug": slug, "status": status, "plan": plan, "config": config, "features": features })
}

/// `GET /api/usage`; a limit of `null` is unlimited.
pub fn usage_document(usage: &Usage, limits: &Limits) -> Value {
    json!({
        "usage": {
            "apiCalls": usage.month.metered,
            "storage": usage.levels.storage,
            "users": usage.levels.users,
            "projects": usage.levels.projects,
            "bandwidth": usage.month.egress,
            "activeUsers": usage.active_users,
            "apiCallsToday": usage.today.metered,
        },
        "limits": limits,
    })
}
