//! The directory: tenants by host, id, slug and key, for the data plane to read without waiting.
//!
//! The control plane is its one writer. Every change of what a host means raises the generation, so that a connection
//! that remembers its last host looks again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;

use super::domains::Shown;
use super::facts::{Catalogue, DirectorySettings, Facts, PlanMissing};
use super::features::Rollouts;
use super::live_key::LiveKey;
use super::runtime::TenantRuntime;
use super::subscriptions::Accounts;
use crate::access::Verifier;
use crate::metering::Journal;
use crate::model::{ApiKey, CustomDomain, Day, DomainStatus, Host, KeyHash, KeyId, Millis, Status, Tenant, TenantId};
use crate::store::{UsageRow, Version};

/// Tenants by host, id, slug and key.
pub struct Directory {
    catalogue: Catalogue,
    /// What follows the slug in a tenant's host.
    under_base: String,
    /// Who writes. Claims on custom domains are behind it, served or not.
    writer: Mutex<Shown>,
    /// Held from reading a claim in the store until it is shown.
    showing: tokio::sync::Mutex<()>,
    /// Held by whoever changes roll-outs of flags.
    rolling: tokio::sync::Mutex<()>,
    /// Tenants whose plan has changed.
    replanned: Mutex<Vec<TenantId>>,
    generation: AtomicU64,
    /// Also the hosts `<slug>.<base domain>`, which have no map of their own.
    slugs: DashMap<Box<str>, Arc<TenantRuntime>>,
    /// Custom domains that are served.
    domains: DashMap<Box<str>, Arc<TenantRuntime>>,
    /// `max-age` of Strict-Transport-Security of custom domains that want it.
    hsts: DashMap<Box<str>, u32>,
    tenants: DashMap<TenantId, Arc<TenantRuntime>>,
    keys: DashMap<KeyHash, Arc<LiveKey>>,
    key_ids: DashMap<KeyId, KeyHash>,
}

impl Directory {
    /// An empty directory.
    pub fn new(settings: DirectorySettings) -> Self {
        Self {
            under_base: format!(".{}", settings.base_domain),
            catalogue: Catalogue::new(settings),
            writer: Mutex::default(),
            showing: tokio::sync::Mutex::default(),
            rolling: tokio::sync::Mutex::default(),
            replanned: Mutex::default(),
            generation: AtomicU64::new(0),
            slugs: DashMap::new(),
            domains: DashMap::new(),
            hsts: DashMap::new(),
            tenants: DashMap::new(),
            keys: DashMap::new(),
            key_ids: DashMap::new(),
        }
    }

    /// Who is due when, and who pays how much.
    pub fn accounts(&self) -> &Accounts {
        &self.catalogue.settings().accounts
    }

    /// Grows whenever a host may mean another tenant than before.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The tenant whose host this (normalised) name is.
    pub fn by_host(&self, host: &str) -> Option<Arc<TenantRuntime>> {
        let slug = host.strip_suffix(self.under_base.as_str());
        let found = slug.and_then(|slug| self.slugs.get(slug)).or_else(|| self.domains.get(host));
        found.map(|entry| Arc::clone(&entry))
    }

    /// The tenant with this id or slug.
    pub fn by_name(&self, name: &str) -> Option<Arc<TenantRuntime>> {
        if let Ok(id) = name.parse::<TenantId>() {
            return self.by_id(id);
        }
        self.slugs.get(name).map(|entry| Arc::clone(&entry))
    }

    /// The tenant with this id.
    pub fn by_id(&self, id: TenantId) -> Option<Arc<TenantRuntime>> {
        self.tenants.get(&id).map(|entry| Arc::clone(&entry))
    }

    /// A key, by hash; expired keys are found as well, `expires_at` decides.
    pub fn key(&self, hash: &KeyHash) -> Option<Arc<LiveKey>> {
        self.keys.get(hash).map(|entry| Arc::clone(&entry))
    }

    /// When a key was last used, as far as this process knows.
    pub fn key_used(&self, key: KeyId) -> Option<Millis> {
        let hash = *self.key_ids.get(&key)?;
        self.keys.get(&hash)?.used()
    }

    /// The keys that were used since this was asked last, and when.
    pub fn take_used_keys(&self) -> Vec<(TenantId, KeyId, Millis)> {
        self.keys.iter().filter_map(|entry| Some((entry.key.tenant_id, entry.key.id, entry.take_used()?))).collect()
    }

    /// What earlier processes knew of a key's last use.
    pub fn remember_key_used(&self, key: KeyId, at: Millis) {
        if let Some(entry) = self.key_ids.get(&key).and_then(|hash| self.keys.get(&*hash)) {
            entry.remember(at);
        }
    }

    /// Verify the tokens of issuers of all tenants.
    pub fn verifiers(&self) -> &Arc<[Arc<Verifier>]> {
        self.catalogue.settings().issuers.common()
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
        let claims = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let facts = self.catalogue.facts_of(tenant, version)?;
        let (runtime, before) = match self.by_id(tenant.id) {
            Some(runtime) if runtime.facts().version > version => return Ok(()),
            Some(runtime) => {
                let before = runtime.facts_owned();
                let has_moved = before.plan.limits != facts.plan.limits || before.plan.overage != facts.plan.overage;
                if !Arc::ptr_eq(&before.plan, &facts.plan) && has_moved {
                    self.replanned.lock().unwrap_or_else(PoisonError::into_inner).push(tenant.id);
                }
                runtime.update(facts, self.catalogue.settings().clock.now());
                (runtime, Some(before))
            }
            None => (Arc::new(TenantRuntime::new(facts, self.catalogue.settings().clock.now().day(), rows)), None),
        };
        self.accounts().show(tenant);
        self.tenants.insert(tenant.id, Arc::clone(&runtime));
        self.name(&runtime, before.as_deref(), tenant.deleted_at.is_none());
        for name in claims.of(tenant.id) {
            self.name_domain(&claims, name);
        }
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Looks again which custom domains are proved; called when certificates have changed.
    pub fn check_domains(&self) {
        let names = self.writer.lock().unwrap_or_else(PoisonError::into_inner).names();
        // Not all at once, so that nobody else waits for long.
        for part in names.chunks(256) {
            let claims = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            part.iter().for_each(|name| self.name_domain(&claims, name));
            self.generation.fetch_add(1, Ordering::Release);
        }
    }

    /// What holds for the flags of all tenants.
    pub fn rollouts(&self) -> Arc<Rollouts> {
        self.catalogue.rollouts()
    }

    /// Taken by whoever changes roll-outs, so that what is committed and what is shown stay in the same order.
    pub(super) const fn rolling(&self) -> &tokio::sync::Mutex<()> {
        &self.rolling
    }

    /// Shows other roll-outs to every tenant. Those that are published meanwhile have them already.
    pub(super) async fn show_rollouts(&self, rollouts: Rollouts) {
        let (rollouts, tenants) = {
            let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let tenants: Vec<TenantId> = self.tenants.iter().map(|entry| *entry.key()).collect();
            (self.catalogue.set_rollouts(rollouts), tenants)
        };
        // Not all at once, so that nobody else waits for long.
        for part in tenants.chunks(256) {
            {
                let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
                for tenant in part.iter().filter_map(|tenant| self.by_id(*tenant)) {
                    let facts = tenant.facts().with_rollouts(&rollouts);
                    tenant.show_flags(facts);
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Shows a claim on a custom domain, or that there is none any more, and its stored certificate.
    pub(super) fn show_domain(&self, name: &Host, domain: Option<&CustomDomain>, certificate: Option<&[u8]>) {
        (self.catalogue.settings().serve)(name.as_str(), certificate);
        let mut claims = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        claims.show(name, domain);
        match domain.and_then(|domain| domain.hsts_max_age) {
            Some(max_age) => drop(self.hsts.insert(name.as_str().into(), max_age)),
            None => drop(self.hsts.remove(name.as_str())),
        }
        self.name_domain(&claims, name.as_str());
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Custom domains that are to be looked at, at most `limit`; they come again once they were shown or put off.
    pub fn take_due_domains(&self, now: Millis, limit: usize) -> Vec<(TenantId, Host)> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take_due(now, limit)
    }

    /// The next look at a custom domain is due from `moment` on: now, or later where the last one failed.
    pub(super) fn look_at_domain_from(&self, name: &Host, moment: Millis) {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).put_off(name, moment);
    }

    /// Taken by whoever shows a claim.
    pub(super) const fn showing(&self) -> &tokio::sync::Mutex<()> {
        &self.showing
    }

    /// The custom domains that a tenant claims, sorted, and whether requests to them find it.
    pub fn domains_of(&self, tenant: TenantId) -> Vec<(Box<str>, bool)> {
        let claims = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        claims.of(tenant).map(|name| (name.into(), self.domains.contains_key(name))).collect()
    }

    /// Whether a certificate in files proves this custom domain.
    pub fn proves(&self, name: &str) -> bool {
        (self.catalogue.settings().proves)(name)
    }

    /// `max-age` of Strict-Transport-Security of a custom domain that wants it.
    pub fn hsts_of(&self, domain: &str) -> Option<u32> {
        self.hsts.get(domain).map(|max_age| *max_age)
    }

    /// How many custom domains stand in each way; those that are served and that someone has to act for are `at_risk`. `serves`
    /// says of one that it has the certificate it needs.
    pub fn domains_by_status(&self, now: Millis, serves: impl Fn(&str) -> bool) -> [(&'static str, u64); 4] {
        let claims = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = ["serving", "at_risk", "in_progress", "stuck"].map(|status| (status, 0));
        for (name, claim) in claims.iter() {
            let needs = claim.needs(now);
            let status = match DomainStatus::of(self.domains.contains_key(name) && serves(name), needs) {
                DomainStatus::Serving if needs.is_some() => "at_risk",
                status => status.as_str(),
            };
            counts.iter_mut().filter(|(of, _)| *of == status).for_each(|(_, count)| *count += 1);
        }
        counts
    }

    /// Whether requests to this custom domain find its tenant.
    pub fn serves_domain(&self, name: &str) -> bool {
        self.domains.contains_key(name)
    }

    /// Moves every window to `today`, so that tenants without traffic let go of yesterday's slots.
    pub fn roll(&self, today: Day) {
        for entry in &self.tenants {
            entry.roll(today);
        }
    }

    /// Tenants whose plan has changed since this was asked last.
    pub fn take_replanned(&self) -> Vec<TenantId> {
        std::mem::take(&mut *self.replanned.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tenants of which anything was ever reported.
    pub fn with_gauges(&self) -> Vec<TenantId> {
        let has = |entry: &dashmap::mapref::multiple::RefMulti<'_, TenantId, Arc<TenantRuntime>>| entry.gauges_if_any().is_some();
        self.tenants.iter().filter(has).map(|entry| *entry.key()).collect()
    }

    /// Brings what the journal had no room for into it.
    pub fn catch_up(&self, journal: &Journal, now: Millis) {
        for entry in &self.tenants {
            entry.catch_up(journal, now);
        }
    }

    /// A month has begun: what is stored counts for it, reported or not.
    pub fn begin_month(&self, journal: &Journal, now: Millis) {
        for entry in &self.tenants {
            entry.tell_stored(journal, now);
        }
    }

    /// These tenants have another plan: what they store counts by it.
    pub fn tell_stored(&self, tenants: &[TenantId], journal: &Journal, now: Millis) {
        for tenant in tenants.iter().filter_map(|tenant| self.by_id(*tenant)) {
            tenant.tell_stored(journal, now);
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

    /// How many tenants have each version of a plan; deleted ones are not counted.
    pub fn on_plan(&self, name: &str) -> BTreeMap<u32, u64> {
        let mut counts = BTreeMap::new();
        for entry in &self.tenants {
            let facts = entry.facts();
            if facts.plan.name == name && facts.tenant.status != crate::model::Status::Deleted {
                *counts.entry(facts.plan.version).or_default() += 1;
            }
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
        let used = self.keys.get(&hash).and_then(|before| before.used());
        self.key_ids.insert(key.id, hash);
        let entry = Arc::new(LiveKey::of(key));
        if let Some(at) = used {
            entry.remember(at);
        }
        self.keys.insert(hash, entry);
    }

    /// Makes a key useless.
    pub fn revoke_key(&self, tenant: TenantId, key: KeyId) {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, hash)) = self.key_ids.remove(&key) {
            self.keys.remove_if(&hash, |_, entry| entry.key.tenant_id == tenant);
        }
    }

    /// Makes the tenant's slug lead to it, and one that it had `before` to nobody. The generation is raised after that: a
    /// connection that reads the new one sees the new names as well.
    fn name(&self, runtime: &Arc<TenantRuntime>, before: Option<&Facts>, exists: bool) {
        let facts = runtime.facts_owned();
        let slug = facts.tenant.slug.as_str();
        if exists {
            self.slugs.insert(slug.into(), Arc::clone(runtime));
        }
        if let Some(before) = before.map(|before| before.tenant.slug.as_str())
            && !(exists && before == slug)
        {
            self.slugs.remove_if(before, |_, owner| owner.id() == runtime.id());
        }
    }

    /// A custom domain leads to the tenant that claims it while DNS or a certificate proves that it may.
    fn name_domain(&self, claims: &Shown, name: &str) {
        let settings = self.catalogue.settings();
        let claim = claims.claim(name).filter(|claim| settings.custom_domains && (claim.is_proved || (settings.proves)(name)));
        let tenant = claim.and_then(|claim| self.by_id(claim.tenant)).filter(|tenant| tenant.facts().tenant.status != Status::Deleted);
        match tenant {
            Some(tenant) => drop(self.domains.insert(name.into(), tenant)),
            None => drop(self.domains.remove(name)),
        }
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
