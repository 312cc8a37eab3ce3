//! The directory (stub).
use crate::model::{ApiKey, KeyHash, KeyId, Tenant, TenantId};
use crate::store::Version;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Who holds a key.
#[derive(Debug, Clone)]
pub struct KeyHolder {
    /// The key as stored.
    pub key: Arc<ApiKey>,
}

#[derive(Default)]
struct Known {
    tenants: HashMap<TenantId, (Tenant, Version)>,
    keys: HashMap<KeyId, ApiKey>,
}

/// Tenants by host, id, slug and key: what the data plane reads. One writer, the control plane.
#[derive(Default)]
pub struct Directory(Mutex<Known>);

impl Directory {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Makes a committed tenant visible; an older version than the one shown changes nothing. Hosts that it no longer
    /// has are released, requests on open connections see it from the next one on.
    pub fn publish(&self, tenant: &Tenant, version: Version) {
        let mut known = self.known();
        if known.tenants.get(&tenant.id).is_none_or(|(_, shown)| *shown < version) {
            known.tenants.insert(tenant.id, (tenant.clone(), version));
        }
    }
    /// Makes a key usable.
    pub fn publish_key(&self, key: ApiKey) {
        self.known().keys.insert(key.id, key);
    }
    /// Makes a key useless.
    pub fn revoke_key(&self, _tenant: TenantId, key: KeyId) {
        self.known().keys.remove(&key);
    }
    /// The holder of a key, by hash.
    pub fn key(&self, hash: &KeyHash) -> Option<KeyHolder> {
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        self.known().keys.values().find(|key| key.hash == hash).map(|key| KeyHolder { key: Arc::new(key.clone()) })
    }
    /// How many tenants are known.
    pub fn len(&self) -> usize {
        self.known().tenants.len()
    }
}
