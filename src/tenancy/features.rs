//! features (stub).
use crate::model::Tenant;
/// Enabled flags, sorted.
pub fn enabled_features(tenant: &Tenant, sso: bool) -> Vec<String> {
    tenant.config.features.iter().filter(|(name, on)| **on && (sso || *name != "sso")).map(|(name, _)| name.clone()).collect()
}
