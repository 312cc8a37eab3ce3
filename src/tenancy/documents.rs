//! What a tenant is told of itself: the documents of the tenant API, the same on every listener.

use serde_json::{Value, json};

use crate::model::{Limits, Tenant, Usage};

/// `GET /api/tenant`.
pub fn tenant_document(tenant: &Tenant) -> Value {
    json!({
        "id": tenant.id,
        "name": tenant.name,
        "slug": tenant.slug,
        "status": tenant.status,
        "plan": tenant.plan,
        "config": tenant.config,
    })
}

/// `GET /api/usage`; a limit of `null` is unlimited.
pub fn usage_document(usage: &Usage, limits: &Limits) -> Value {
    json!({
        "usage": {
            "apiCalls": usage.month.metered,
            "storage": usage.storage,
            "bandwidth": usage.month.egress,
            "activeUsers": usage.active_users,
            "apiCallsToday": usage.today.metered,
        },
        "limits": limits,
    })
}
