//! The control plane's view of tenants: reads them, lists them, and applies changes: committed first, then published.

use std::sync::Arc;

use super::change::{decode, tenant_key};
use super::domains::show;
use super::keys::record_key;
use super::subscriptions::{Desk, INVOICES};
use super::walk::Walk;
use super::{Change, Directory, FieldError, KeyChange, Plans, TenancyError, Versioned};
use crate::billing::payments::Payments;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::model::{ApiKey, KeyId, Origin, Slug, Status, Tenant, TenantId};
use crate::store::{Key, Precondition, Record, Scan, Store, StoreError, Table};
use crate::upstream::Resolver;

/// Tenants as the control plane works on them.
pub struct Tenants {
    /// Where they are kept.
    pub store: Arc<dyn Store>,
    /// Where they are shown.
    pub directory: Arc<Directory>,
    /// Domains and switches.
    pub config: Arc<Config>,
    /// What tenants can subscribe to.
    pub plans: Arc<Plans>,
    /// Who takes their money.
    pub payments: Arc<dyn Payments>,
    /// Billing time.
    pub clock: SharedClock,
    /// Says which upstreams are allowed.
    pub resolver: Arc<Resolver>,
}

/// Which tenants are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this state; without it, all but deleted ones.
    pub status: Option<Status>,
    /// Only this plan.
    pub plan: Option<String>,
    /// Only those whose name, slug or domain contains this, whatever the case.
    pub text: Option<String>,
}

/// A page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins; `None` on the last.
    pub next: Option<String>,
}

impl Tenants {
    /// By what subscriptions are judged.
    pub fn desk(&self) -> Desk<'_> {
        let chargeable = self.payments.chargeable(&self.config.billing.currency);
        Desk { config: &self.config, plans: &self.plans, collects: self.payments.collects(), chargeable }
    }

    /// A tenant by id or slug; a deleted one by id only.
    pub async fn get(&self, id_or_slug: &str) -> Result<Option<Versioned<Tenant>>, TenancyError> {
        let is_id = id_or_slug.parse::<TenantId>().is_ok();
        Ok(self.get_kept(id_or_slug).await?.filter(|tenant| is_id || tenant.value.status != Status::Deleted))
    }

    /// A tenant by id or slug; also a deleted one by the slug that is kept for it.
    pub async fn get_kept(&self, id_or_slug: &str) -> Result<Option<Versioned<Tenant>>, TenancyError> {
        if let Ok(id) = id_or_slug.parse::<TenantId>() {
            return self.by_id(id).await;
        }
        if Slug::parse(id_or_slug).is_err() {
            return Ok(None);
        }
        let key = Key::new(Table::Slugs, id_or_slug);
        let Some(record) = self.store.get(&key).await? else { return Ok(None) };
        let id = String::from_utf8_lossy(&record.value).parse::<TenantId>();
        let id = id.map_err(|error| TenancyError::Store(StoreError::Damaged(format!("slug {id_or_slug}: {error}"))))?;
        // Between the two reads the slug may have moved on; then nobody has it.
        Ok(self.by_id(id).await?.filter(|tenant| tenant.value.slug.as_str() == id_or_slug))
    }

    /// A tenant by id.
    pub async fn by_id(&self, id: TenantId) -> Result<Option<Versioned<Tenant>>, TenancyError> {
        self.store.get(&tenant_key(id)).await?.map(versioned).transpose()
    }

    /// Several tenants by id, in their order.
    pub(super) async fn by_ids(&self, ids: &[TenantId]) -> Result<Vec<Option<Versioned<Tenant>>>, TenancyError> {
        let keys: Vec<Key> = ids.iter().copied().map(tenant_key).collect();
        self.store.get_all(&keys).await?.into_iter().map(|record| record.map(versioned).transpose()).collect()
    }

    /// A page of tenants, newest first. `cursor` is what the page before said.
    pub async fn list(&self, filter: &Filter, cursor: Option<TenantId>, limit: usize) -> Result<Page<Versioned<Tenant>>, TenancyError> {
        let mut walk = Walk::back_over(Table::Tenants, cursor.map(|id| id.to_string()), limit.saturating_add(1));
        let mut items: Vec<Versioned<Tenant>> = Vec::new();
        while let Some(records) = walk.next(&*self.store).await? {
            for record in records {
                let tenant = versioned::<Tenant>(record)?;
                if !filter.admits(&tenant.value) {
                    continue;
                }
                if items.len() == limit {
                    let next = items.last().map(|last| last.value.id.to_string());
                    return Ok(Page { items, next });
                }
                items.push(tenant);
            }
        }
        Ok(Page { items, next: None })
    }

    /// How many tenants are in each state.
    pub async fn count(&self) -> Result<Vec<(Status, u64)>, TenancyError> {
        let mut counts: Vec<(Status, u64)> = Status::ALL.into_iter().map(|status| (status, 0)).collect();
        let mut walk = Walk::over(Table::Tenants);
        while let Some(records) = walk.next(&*self.store).await? {
            for record in records {
                let status = decode::<Tenant>(&record.key, &record.value)?.status;
                counts.iter_mut().filter(|(of, _)| *of == status).for_each(|(_, count)| *count += 1);
            }
        }
        Ok(counts)
    }

    /// The keys of a tenant, oldest first.
    pub async fn keys(&self, tenant: TenantId, cursor: Option<KeyId>, limit: usize) -> Result<Page<ApiKey>, TenancyError> {
        let after = cursor.map(|id| record_key(tenant, id).id);
        let scan = Scan { table: Table::Keys, prefix: format!("{tenant}/"), after, newest_first: false, limit: limit + 1 };
        let records = self.store.scan(scan).await?;
        let more = records.len() > limit;
        let keys = records.iter().take(limit).map(|record| decode(&record.key, &record.value));
        let items = keys.collect::<Result<Vec<ApiKey>, _>>()?;
        let next = items.last().filter(|_| more).map(|key| key.id.to_string());
        Ok(Page { items, next })
    }

    /// One key.
    pub async fn key(&self, tenant: TenantId, key: KeyId) -> Result<Option<Versioned<ApiKey>>, TenancyError> {
        self.store.get(&record_key(tenant, key)).await?.map(versioned).transpose()
    }

    /// Refuses upstreams that must not be reached: the gateway's own listeners, link-local addresses.
    pub async fn check_upstream(&self, origins: &[Origin]) -> Result<(), TenancyError> {
        for origin in origins {
            if let Err(error) = self.resolver.check(origin).await {
                return Err(TenancyError::Invalid(vec![FieldError::new("/upstream", "forbidden", error.to_string())]));
            }
        }
        Ok(())
    }

    /// Commits a change and then shows it to the data plane; both happen even where the caller goes away meanwhile.
    pub async fn apply(&self, change: Change) -> Result<Versioned<Tenant>, TenancyError> {
        if let (true, Some(version)) = (change.is_empty(), change.base) {
            return Ok(Versioned { value: change.tenant, version });
        }
        self.check_free(&change).await?;
        let (store, directory) = (Arc::clone(&self.store), Arc::clone(&self.directory));
        let task = tokio::spawn(async move { commit(&*store, &directory, change).await });
        task.await.map_err(|error| TenancyError::Store(StoreError::Unavailable(format!("the commit was cut off: {error}"))))?
    }

    /// Tells all names that are taken, before the commit would tell one.
    async fn check_free(&self, change: &Change) -> Result<(), TenancyError> {
        let mut errors = Vec::new();
        for precondition in &change.tx.preconditions {
            let Precondition::Absent(key) = precondition else { continue };
            if let Some(error) = taken(key)
                && self.store.get(key).await?.is_some()
            {
                errors.push(error);
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(TenancyError::Taken(errors)) }
    }
}

async fn commit(store: &dyn Store, directory: &Directory, change: Change) -> Result<Versioned<Tenant>, TenancyError> {
    let Change { tenant, base, tx, keys, others, domains } = change;
    let rewritten = tx.puts.iter().any(|(key, _)| *key == tenant_key(tenant.id));
    let claimed: Vec<Key> =
        tx.preconditions.iter().filter_map(|it| if let Precondition::Absent(key) = it { Some(key.clone()) } else { None }).collect();
    let issued = tx.numbers.iter().filter(|draw| draw.sequence == INVOICES).count();
    let committed = store.commit(tx).await.map_err(|error| match &error {
        // A name that was to be changed, and not to be taken, has only changed meanwhile.
        StoreError::Conflict(key) if claimed.contains(key) => {
            taken(key).map_or(TenancyError::Conflict, |error| TenancyError::Taken(vec![error]))
        }
        StoreError::Conflict(_) => TenancyError::Conflict,
        _ => TenancyError::Store(error),
    })?;
    let version = base.filter(|_| !rewritten).unwrap_or(committed.version);
    directory.accounts().issue(issued);
    if rewritten {
        directory.publish(&tenant, version);
    }
    for other in &others {
        directory.publish(other, committed.version);
    }
    for domain in &domains {
        show(store, directory, domain).await?;
    }
    for key in keys {
        match key {
            KeyChange::Shown(key) => show_key(store, directory, (key.tenant_id, key.id)).await?,
            KeyChange::Revoked(id) => directory.revoke_key(tenant.id, id),
        }
    }
    Ok(Versioned { value: tenant, version })
}

/// Shows a key as it is stored, or that it is gone: it may have been changed again since the commit. One at a time, so that what was
/// read first is not shown last.
async fn show_key(store: &dyn Store, directory: &Directory, (tenant, id): (TenantId, KeyId)) -> Result<(), TenancyError> {
    let _turn = directory.showing().lock().await;
    match store.get(&record_key(tenant, id)).await? {
        Some(record) => directory.publish_key(decode(&record.key, &record.value)?),
        None => directory.revoke_key(tenant, id),
    }
    Ok(())
}

/// What it means that this name is not free; `None` for what is not a name.
fn taken(key: &Key) -> Option<FieldError> {
    match key.table {
        Table::Slugs => Some(FieldError::new(
            "/slug",
            "slug_taken",
            format!("the slug `{}` belongs to another tenant, or is kept for one that was deleted", key.id),
        )),
        Table::Domains => Some(FieldError::new(
            "/customDomain",
            "domain_taken",
            format!("the domain `{}` belongs to another tenant, or is kept for one that was deleted", key.id),
        )),
        Table::TenantIssuers => Some(FieldError::new(
            "/issuers",
            "issuer_taken",
            "another tenant has an issuer with the same name and audience, so that each would let in the other's users; give it an audience of its own",
        )),
        _ => None,
    }
}

impl Filter {
    fn admits(&self, tenant: &Tenant) -> bool {
        let status = self.status.map_or(tenant.status != Status::Deleted, |wanted| wanted == tenant.status);
        let plan = self.plan.as_ref().is_none_or(|plan| *plan == tenant.plan);
        let text = self.text.as_ref().is_none_or(|text| {
            let text = text.to_lowercase();
            let domain = tenant.custom_domain.as_ref().is_some_and(|domain| domain.as_str().contains(&text));
            tenant.name.to_lowercase().contains(&text) || tenant.slug.as_str().contains(&text) || domain
        });
        status && plan && text
    }
}

fn versioned<T: serde::de::DeserializeOwned>(record: Record) -> Result<Versioned<T>, TenancyError> {
    Ok(Versioned { value: decode(&record.key, &record.value)?, version: record.version })
}
