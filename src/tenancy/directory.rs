//! The directory: tenants by host, id, slug and key, for the data plane to read without waiting.
//!
//! The control plane is its one writer. Every change of what a host means raises the generation, so that a connection
//! that remembers its last host looks again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;

use super::facts::{DirectorySettings, PlanMissing, facts_of};
use super::runtime::TenantRuntime;
use crate::model::{ApiKey, Day, KeyHash, KeyId, Tenant, TenantId};
use crate::store::{UsageRow, Version};
use crate::upstream::Target;

/// Tenants by host, id, slug and key.
pub struct Directory {
    settings: DirectorySettings,
    /// Of tenants without one of their own: known before there is any, so that the first finds its addresses.
    _default_targets: Vec<Arc<Target>>,
    writer: Mutex<()>,
    generation: AtomicU64,
    hosts: DashMap<String, Arc<TenantRuntime>>,
    slugs: DashMap<String, TenantId>,
    tenants: DashMap<TenantId, Arc<TenantRuntime>>,
    keys: DashMap<KeyHash, Arc<ApiKey>>,
    key_ids: DashMap<KeyId, KeyHash>,
}

impl Directory {
    /// An empty directory.
    pub fn new(settings: DirectorySettings) -> Self {
        let default_targets = settings.default_upstream.iter().map(|origin| settings.resolver.target(origin)).collect();
        Self {
            settings,
            _default_targets: default_targets,
            writer: Mutex::new(()),
            generation: AtomicU64::new(0),
            hosts: DashMap::new(),
            slugs: DashMap::new(),
            tenants: DashMap::new(),
            keys: DashMap::new(),
            key_ids: DashMap::new(),
        }
    }

    /// Grows whenever a host may mean another tenant than before.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The tenant whose host this (normalised) name is.
    pub fn by_host(&self, host: &str) -> Option<Arc<TenantRuntime>> {
        self.hosts.get(host).map(|entry| Arc::clone(&entry))
    }

    /// The tenant with this id or slug.
    pub fn by_name(&self, name: &str) -> Option<Arc<TenantRuntime>> {
        if let Ok(id) = name.parse::<TenantId>() {
            return self.by_id(id);
        }
        let id = *self.slugs.get(name)?;
        self.by_id(id)
    }

    /// The tenant with this id.
    pub fn by_id(&self, id: TenantId) -> Option<Arc<TenantRuntime>> {
        self.tenants.get(&id).map(|entry| Arc::clone(&entry))
    }

    /// A key, by hash; expired keys are found as well, `expires_at` decides.
    pub fn key(&self, hash: &KeyHash) -> Option<Arc<ApiKey>> {
        self.keys.get(hash).map(|entry| Arc::clone(&entry))
    }

    /// How many tenants are known.
    pub fn len(&self) -> usize {
        self.tenants.len()
    }

    /// True where no tenant is known.
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// Makes a committed tenant visible; an older version than the one shown changes nothing.
    pub fn publish(&self, tenant: &Tenant, version: Version) {
        if let Err(error) = self.publish_with_usage(tenant, version, &[]) {
            tracing::error!(%error, "a tenant was not published");
        }
    }

    /// As [`publish`](Self::publish), for a tenant of which earlier processes stored usage.
    pub fn publish_with_usage(&self, tenant: &Tenant, version: Version, rows: &[UsageRow]) -> Result<(), PlanMissing> {
        // The lock first: what certificates prove is asked in the order in which it is published.
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let facts = facts_of(tenant, version, &self.settings)?;
        let hosts = facts.hosts.clone();
        let (runtime, released) = match self.by_id(tenant.id) {
            Some(runtime) if runtime.facts().version > version => return Ok(()),
            Some(runtime) => {
                let before = runtime.facts_owned();
                runtime.update(facts);
                self.slugs.remove_if(before.tenant.slug.as_str(), |_, id| *id == tenant.id);
                (runtime, before.hosts.clone())
            }
            None => (Arc::new(TenantRuntime::new(facts, self.settings.clock.now().day(), rows)), Vec::new()),
        };
        self.tenants.insert(tenant.id, Arc::clone(&runtime));
        if tenant.deleted_at.is_none() {
            self.slugs.insert(tenant.slug.to_string(), tenant.id);
        }
        self.move_hosts(&runtime, &released, hosts);
        Ok(())
    }

    /// Looks again which custom domains are proved; called when certificates have changed.
    pub fn check_domains(&self) {
        let facts = self.tenants.iter().map(|entry| entry.facts_owned());
        let with_domain: Vec<_> = facts.filter(|facts| facts.tenant.custom_domain.is_some()).collect();
        for facts in with_domain {
            self.publish(&facts.tenant, facts.version);
        }
    }

    /// Moves every window to `today`, so that tenants without traffic let go of yesterday's slots.
    pub fn roll(&self, today: Day) {
        for entry in &self.tenants {
            entry.window(today);
        }
    }

    /// Tenants by status.
    pub fn by_status(&self) -> BTreeMap<&'static str, u64> {
        let mut counts: BTreeMap<&'static str, u64> = crate::model::Status::ALL.iter().map(|status| (status.as_str(), 0)).collect();
        for entry in &self.tenants {
            *counts.entry(entry.facts().tenant.status.as_str()).or_default() += 1;
        }
        counts
    }

    /// Makes a key usable.
    pub fn publish_key(&self, key: ApiKey) {
        let Some(hash) = hash_of(&key) else {
            tracing::error!(key = %key.id, "a stored key has no readable hash; it cannot be used");
            return;
        };
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.key_ids.insert(key.id, hash);
        self.keys.insert(hash, Arc::new(key));
    }

    /// Makes a key useless.
    pub fn revoke_key(&self, tenant: TenantId, key: KeyId) {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, hash)) = self.key_ids.remove(&key) {
            self.keys.remove_if(&hash, |_, key| key.tenant_id == tenant);
        }
    }

    /// The generation is raised last: a connection that reads the new one sees the new hosts as well.
    fn move_hosts(&self, runtime: &Arc<TenantRuntime>, released: &[String], hosts: Vec<String>) {
        for host in released.iter().filter(|host| !hosts.contains(host)) {
            self.hosts.remove_if(host, |_, owner| owner.id() == runtime.id());
        }
        for host in hosts {
            self.hosts.insert(host, Arc::clone(runtime));
        }
        self.generation.fetch_add(1, Ordering::Release);
    }
}

fn hash_of(key: &ApiKey) -> Option<KeyHash> {
    let text = key.hash.as_bytes();
    let mut hash = KeyHash::default();
    if text.len() != hash.len() * 2 {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
        let digits = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(hash)
}
