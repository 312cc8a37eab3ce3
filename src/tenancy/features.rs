//! Feature flags as the app sees them: those that are on, for this tenant and in this deployment.

use crate::model::Tenant;

/// Flags that are on, sorted. Where `sso` is false, the flag `sso` counts as off.
pub fn enabled_features(tenant: &Tenant, sso: bool) -> Vec<String> {
    let on = |(name, on): (&String, &bool)| (*on && (sso || name != "sso")).then(|| name.clone());
    // A BTreeMap is read in the order of its names.
    tenant.config.features.iter().filter_map(on).collect()
}
