//! Claims as they are stored: read, listed, and shown to the data plane.

use std::collections::VecDeque;
use std::sync::Arc;

use super::claims::{claim_key, put};
use crate::clock::{Clock, SystemClock};
use crate::model::{CustomDomain, Host, TenantId};
use crate::store::{Key, Precondition, Record, Scan, Store, StoreError, Table, Tx};
use crate::tenancy::change::decode;
use crate::tenancy::walk::Walk;
use crate::tenancy::{Directory, Page, TenancyError, Tenants, Versioned};

/// Claims rewritten in one commit.
const BATCH: usize = 500;

/// Which domains are listed.
pub type DomainFilter<'a> = &'a (dyn Fn(&CustomDomain) -> bool + Send + Sync);

/// Claims on domains as the control plane reads them.
#[derive(Clone)]
pub struct Domains {
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
}

impl Domains {
    /// Those of the store, shown in the directory.
    pub fn new(store: Arc<dyn Store>, directory: Arc<Directory>) -> Self {
        Self { store, directory }
    }

    /// The claim on a name.
    pub async fn get(&self, name: &Host) -> Result<Option<Versioned<CustomDomain>>, TenancyError> {
        self.store.get(&claim_key(name)).await?.map(read).transpose()
    }

    /// All claims of a tenant, sorted by name. Whoever changes the tenant reads it first, then these.
    pub async fn of(&self, tenant: TenantId) -> Result<Vec<CustomDomain>, TenancyError> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.page_of(tenant, after, BATCH, &|_| true).await?;
            found.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// A page of the claims of a tenant, sorted by name. `after` is what the page before said.
    pub async fn page_of(
        &self,
        tenant: TenantId,
        mut after: Option<String>,
        limit: usize,
        wanted: DomainFilter<'_>,
    ) -> Result<Page<CustomDomain>, TenancyError> {
        let prefix = format!("{tenant}/");
        let mut items = Vec::new();
        loop {
            let id = after.as_ref().map(|name| format!("{prefix}{name}"));
            let scan = Scan { table: Table::DomainsByTenant, prefix: prefix.clone(), after: id, newest_first: false, limit: BATCH };
            let records = self.store.scan(scan).await?;
            for record in &records {
                let name = name_under(&prefix, record);
                let claim = self.store.get(&Key::new(Table::Domains, name)).await?.map(read).transpose()?;
                // It may have gone since it was listed.
                let Some(claim) = claim.filter(|claim| claim.value.tenant_id == tenant && wanted(&claim.value)) else { continue };
                if items.len() == limit {
                    return Ok(Page { next: last_name(&items), items });
                }
                items.push(claim.value);
            }
            if records.len() < BATCH {
                return Ok(Page { items, next: None });
            }
            after = records.last().map(|record| name_under(&prefix, record).to_owned());
        }
    }

    /// A page of all claims, sorted by name.
    pub async fn page(&self, after: Option<String>, limit: usize, wanted: DomainFilter<'_>) -> Result<Page<CustomDomain>, TenancyError> {
        let mut walk = Walk::over_from(Table::Domains, after);
        let mut items = Vec::new();
        while let Some(records) = walk.next(&*self.store).await? {
            for claim in records.into_iter().map(read) {
                let claim = claim?.value;
                if !wanted(&claim) {
                    continue;
                }
                if items.len() == limit {
                    return Ok(Page { next: last_name(&items), items });
                }
                items.push(claim);
            }
        }
        Ok(Page { items, next: None })
    }

    /// Stores what was found out of a claim, unless it changed meanwhile, and shows it. False where it did change.
    pub async fn save(&self, claim: &Versioned<CustomDomain>, found: &CustomDomain, tx: Tx) -> Result<bool, TenancyError> {
        let mut tx = tx;
        tx.preconditions.push(Precondition::Unchanged(claim_key(&found.name), claim.version));
        put(&mut tx, found)?;
        match self.store.commit(tx).await {
            Ok(_) => {}
            Err(StoreError::Conflict(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        show(&*self.store, &self.directory, &found.name).await?;
        Ok(true)
    }
}

impl Tenants {
    /// Claims on domains.
    pub fn domains(&self) -> Domains {
        Domains::new(Arc::clone(&self.store), Arc::clone(&self.directory))
    }
}

/// Shows the data plane what is stored under a name. Whoever comes last shows the newest.
pub(in crate::tenancy) async fn show(store: &dyn Store, directory: &Directory, name: &Host) -> Result<(), TenancyError> {
    let _turn = directory.showing().lock().await;
    let claim = store.get(&claim_key(name)).await?.map(read).transpose()?;
    let certificate = store.get(&Key::new(Table::Certificates, name.as_str())).await?.filter(|_| claim.is_some());
    directory.show_domain(name, claim.as_ref().map(|claim| &claim.value), certificate.as_ref().map(|record| &*record.value));
    Ok(())
}

/// Shows every claim that is stored; claims of earlier versions, which knew only the tenant's id, are rewritten.
pub(in crate::tenancy) async fn load_domains(store: &dyn Store, directory: &Directory) -> Result<(), TenancyError> {
    let mut certificates = Beside::over(Table::Certificates);
    let mut walk = Walk::over(Table::Domains);
    while let Some(records) = walk.next(store).await? {
        for part in records.chunks(BATCH) {
            let mut tx = Tx::default();
            for record in part {
                let claim = read(record.clone())?.value;
                if is_bare(record) {
                    tx.preconditions.push(Precondition::Unchanged(record.key.clone(), record.version));
                    put(&mut tx, &claim)?;
                }
                let certificate = certificates.of(&record.key.id, store).await?;
                directory.show_domain(&claim.name, Some(&claim), certificate.as_ref().map(|record| &*record.value));
            }
            if !tx.puts.is_empty() {
                store.commit(tx).await?;
            }
        }
    }
    Ok(())
}

/// A walk over a table that goes along with one over another, whose ids are in the same order.
struct Beside {
    walk: Walk,
    page: VecDeque<Record>,
    ended: bool,
}

impl Beside {
    const fn over(table: Table) -> Self {
        Self { walk: Walk::over(table), page: VecDeque::new(), ended: false }
    }

    /// The record with this id. The next one to be asked about comes after it.
    async fn of(&mut self, id: &str, store: &dyn Store) -> Result<Option<Record>, TenancyError> {
        loop {
            while self.page.front().is_some_and(|record| record.key.id.as_str() < id) {
                self.page.pop_front();
            }
            if !self.page.is_empty() || self.ended {
                let is_it = self.page.front().is_some_and(|record| record.key.id == id);
                return Ok(if is_it { self.page.pop_front() } else { None });
            }
            match self.walk.next(store).await? {
                Some(records) => self.page = records.into(),
                None => self.ended = true,
            }
        }
    }
}

/// The domain that a record by tenant is about.
fn name_under<'a>(prefix: &str, record: &'a Record) -> &'a str {
    record.key.id.strip_prefix(prefix).unwrap_or(&record.key.id)
}

fn last_name(items: &[CustomDomain]) -> Option<String> {
    items.last().map(|last| last.name.to_string())
}

/// Earlier versions kept the tenant's id and nothing else.
fn is_bare(record: &Record) -> bool {
    !record.value.starts_with(b"{")
}

fn read(record: Record) -> Result<Versioned<CustomDomain>, TenancyError> {
    if !is_bare(&record) {
        return Ok(Versioned { value: decode(&record.key, &record.value)?, version: record.version });
    }
    let damaged = |error: String| TenancyError::Store(StoreError::Damaged(format!("domain {}: {error}", record.key.id)));
    let name = Host::parse(&record.key.id).map_err(|error| damaged(error.to_string()))?;
    let tenant = String::from_utf8_lossy(&record.value).parse::<TenantId>().map_err(|error| damaged(error.to_string()))?;
    // Of the record's own commit, so that it is the same each time it is read.
    let nonce = format!("v{}", record.version.0);
    Ok(Versioned { value: CustomDomain::claim(name, tenant, nonce, SystemClock.now()), version: record.version })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::claims::index_key;
    use super::*;
    use crate::model::Millis;
    use crate::store::memory::Memory;

    #[tokio::test]
    async fn a_claim_of_an_earlier_version_is_read_the_same_each_time_and_found_by_its_tenant_after_the_start() {
        let (store, tenant) = (Memory::default(), TenantId::new(Millis(5)));
        let key = Key::new(Table::Domains, "acme.com");
        store.commit(Tx { puts: vec![(key.clone(), tenant.to_string().into_bytes())], ..Tx::default() }).await.unwrap();
        let before = read(store.get(&key).await.unwrap().unwrap()).unwrap().value;
        load_domains(&store, &crate::tenancy::tests::support::directory().0).await.unwrap();
        let record = store.get(&key).await.unwrap().unwrap();
        assert!(!is_bare(&record));
        let after = read(record).unwrap().value;
        assert_eq!((after.proof(), after.tenant_id, after.is_proved()), (before.proof(), tenant, false));
        assert!(store.get(&index_key(tenant, &after.name)).await.unwrap().is_some());
    }
}
