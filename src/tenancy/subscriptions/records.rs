//! Where invoices and figures are kept, and how they are read.

use std::sync::Arc;

use crate::model::subscription::Revenue;
use crate::model::{Invoice, InvoiceId, Month, TenantId};
use crate::store::{Key, Scan, Store, Table};
use crate::tenancy::change::decode;
use crate::tenancy::tenants::Page;
use crate::tenancy::{TenancyError, Versioned};

/// A tenant's revenue in a month, as it was at its beginning and end.
pub type Movement = Revenue;

/// Reads invoices and figures.
#[derive(Clone)]
pub struct Bills {
    store: Arc<dyn Store>,
}

impl Bills {
    /// Those of this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// One invoice.
    pub async fn get(&self, id: InvoiceId) -> Result<Option<Versioned<Invoice>>, TenancyError> {
        let Some(record) = self.store.get(&invoice_key(id)).await? else { return Ok(None) };
        Ok(Some(Versioned { value: decode(&record.key, &record.value)?, version: record.version }))
    }

    /// A page of a tenant's invoices, newest first.
    pub async fn of(&self, tenant: TenantId, cursor: Option<InvoiceId>, limit: usize) -> Result<Page<Invoice>, TenancyError> {
        let prefix = format!("{tenant}/");
        let after = cursor.map(|id| tenant_invoice_key(tenant, id).id);
        let scan = Scan { table: Table::InvoicesByTenant, prefix, after, newest_first: true, limit: limit.saturating_add(1) };
        let records = self.store.scan(scan).await?;
        let more = records.len() > limit;
        let mut items = Vec::new();
        for record in records.iter().take(limit) {
            let id = record.key.id.rsplit('/').next().and_then(|id| id.parse::<InvoiceId>().ok());
            if let Some(id) = id
                && let Some(invoice) = self.get(id).await?
            {
                items.push(invoice.value);
            }
        }
        let next = items.last().filter(|_| more).map(|invoice| invoice.id.to_string());
        Ok(Page { items, next })
    }

    /// The invoices of its tenant that were issued after this one, newest first.
    pub async fn after(&self, invoice: &Invoice) -> Result<Vec<Invoice>, TenancyError> {
        let (mut later, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.of(invoice.issued.tenant_id, cursor, 10).await?;
            cursor = page.items.last().map(|last| last.id);
            let found = page.items.iter().any(|one| one.id == invoice.id);
            later.extend(page.items.into_iter().take_while(|one| one.id != invoice.id));
            if found || page.next.is_none() {
                return Ok(later);
            }
        }
    }

    /// A page of all invoices, newest first.
    pub async fn all(&self, cursor: Option<InvoiceId>, limit: usize) -> Result<Page<Invoice>, TenancyError> {
        let after = cursor.map(|id| id.to_string());
        let scan = Scan { table: Table::Invoices, prefix: String::new(), after, newest_first: true, limit: limit.saturating_add(1) };
        let records = self.store.scan(scan).await?;
        let more = records.len() > limit;
        let items: Result<Vec<Invoice>, _> = records.iter().take(limit).map(|record| decode(&record.key, &record.value)).collect();
        let items = items?;
        let next = items.last().filter(|_| more).map(|invoice| invoice.id.to_string());
        Ok(Page { items, next })
    }

    /// How revenue has moved since the beginning of a month: each tenant's figures of it and of every month after it, told to `take`.
    pub async fn movements(&self, since: Month, mut take: impl FnMut(&Movement)) -> Result<(), TenancyError> {
        // Ids begin with the month, and everything of it comes after its name.
        let mut after = Some(since.to_string());
        loop {
            let scan = Scan { table: Table::Movements, prefix: String::new(), after, newest_first: false, limit: 1_000 };
            let records = self.store.scan(scan).await?;
            for record in &records {
                take(&decode(&record.key, &record.value)?);
            }
            after = records.last().map(|record| record.key.id.clone());
            if records.len() < 1_000 {
                return Ok(());
            }
        }
    }
}

pub(super) fn invoice_key(id: InvoiceId) -> Key {
    Key::new(Table::Invoices, id.to_string())
}

pub(super) fn tenant_invoice_key(tenant: TenantId, id: InvoiceId) -> Key {
    Key::new(Table::InvoicesByTenant, format!("{tenant}/{id}"))
}

pub(super) fn movement_key(month: &str, tenant: TenantId) -> Key {
    Key::new(Table::Movements, format!("{month}/{tenant}"))
}
