//! Reads the catalogue at the start, and brings the configuration's plans into it.

use super::super::change::decode;
use super::super::walk::Walk;
use super::edit::commit_of;
use super::{Plans, Shelf, Source, Stored};
use crate::config::Config;
use crate::model::{AddOn, Millis};
use crate::store::{Key, Precondition, Scan, Store, StoreError, Table, Tx};
use crate::tenancy::{Cause, TenancyError};

/// Why there is no catalogue.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// Amounts of one currency would be read as those of another.
    #[error(
        "billing.currency is {configured}, and prices, subscriptions and credit in the store are in {stored}; nothing converts them. Set it back to {stored}, or begin with an empty store"
    )]
    Currency {
        /// Of the store.
        stored: String,
        /// Of the configuration.
        configured: String,
    },
    /// It cannot be read or written.
    #[error(transparent)]
    Tenancy(#[from] TenancyError),
}

impl From<StoreError> for CatalogueError {
    fn from(error: StoreError) -> Self {
        Self::Tenancy(error.into())
    }
}

impl Plans {
    /// Reads the catalogue; plans of the configuration that differ from what it had become new versions.
    ///
    /// # Errors
    ///
    /// The store fails, or has tenants or prices in another currency.
    pub async fn open(store: &dyn Store, config: &Config, now: Millis) -> Result<Self, CatalogueError> {
        let mut shelf = Shelf { configured: config.plans.keys().cloned().collect(), ..Shelf::default() };
        let mut walk = Walk::over(Table::Plans);
        while let Some(records) = walk.next(store).await? {
            for record in records {
                shelf.add(decode::<Stored>(&record.key, &record.value)?);
            }
        }
        let mut walk = Walk::over(Table::AddOns);
        while let Some(records) = walk.next(store).await? {
            for record in records {
                let add_on: AddOn = decode(&record.key, &record.value)?;
                shelf.add_ons.insert(add_on.name.clone(), add_on);
            }
        }
        hold_currency(store, &shelf, &config.billing.currency).await?;
        shelf.add_ons.extend(config.add_ons.iter().map(|(name, add_on)| (name.clone(), add_on.clone())));
        let cause = Cause::of("config", now);
        for plan in config.plans.values() {
            let versions = shelf.versions.get(&plan.name).map(Vec::as_slice).unwrap_or_default();
            let known = versions.iter().rfind(|it| it.source == Source::Config);
            let is_withdrawn = versions.last().is_some_and(|newest| newest.is_withdrawn);
            if !is_withdrawn && known.is_some_and(|known| known.plan.is_like(plan)) {
                continue;
            }
            let stored = shelf.next(plan.clone(), Source::Config, now);
            store.commit(commit_of(&stored, &cause)?).await.map_err(TenancyError::from)?;
            shelf.add(stored);
        }
        Ok(Self::of_shelf(shelf))
    }
}

/// The store has one currency from its first tenant, add-on or plan of the API on.
async fn hold_currency(store: &dyn Store, shelf: &Shelf, configured: &str) -> Result<(), CatalogueError> {
    let key = Key::new(Table::Settings, "currency");
    let stored = store.get(&key).await?;
    if stored.as_ref().is_some_and(|stored| stored.value == configured.as_bytes()) {
        return Ok(());
    }
    let precondition = match &stored {
        None => Precondition::Absent(key.clone()),
        Some(stored) => {
            let first = Scan { table: Table::Tenants, prefix: String::new(), after: None, newest_first: false, limit: 1 };
            let is_priced = !shelf.add_ons.is_empty() || shelf.versions.values().flatten().any(|it| it.source == Source::Api);
            if is_priced || !store.scan(first).await?.is_empty() {
                let stored = String::from_utf8_lossy(&stored.value).into_owned();
                return Err(CatalogueError::Currency { stored, configured: configured.to_owned() });
            }
            Precondition::Unchanged(key.clone(), stored.version)
        }
    };
    store.commit(Tx { preconditions: vec![precondition], puts: vec![(key, configured.into())], ..Tx::default() }).await?;
    Ok(())
}
