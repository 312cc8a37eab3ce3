//! The directory (stub).
use crate::model::{ApiKey, KeyHash, KeyId, Tenant, TenantId};
use crate::store::Version;
use std::sync::Arc;

/// Who holds a key.
#[derive(Debug, Clone)]
pub struct KeyHolder {
    /// The key as stored.
    pub key: Arc<ApiKey>,
}

/// Tenants by host, id, slug and key: what the data plane reads. One writer, the control plane.
pub struct Directory;

impl Directory {
    /// Makes a committed tenant visible; an older version than the one shown changes nothing. Hosts that it no longer
    /// has are released, requests on open connections see it from the next one on.
    pub fn publish(&self, _tenant: &Tenant, _version: Version) {
        todo!()
    }
    /// Makes a key usable.
    pub fn publish_key(&self, _key: ApiKey) {
        todo!()
    }
    /// Makes a key useless.
    pub fn revoke_key(&self, _tenant: TenantId, _key: KeyId) {
        todo!()
    }
    /// The holder of a key, by hash.
    pub fn key(&self, _hash: &KeyHash) -> Option<KeyHolder> {
        todo!()
    }
    /// How many tenants are known.
    pub fn len(&self) -> usize {
        todo!()
    }
}
