//! What billing is built of: its clock, and the key that signs quotes.

use std::sync::Arc;

use aws_lc_rs::rand;

use crate::billing::quote::Signer;
use crate::clock::{SharedClock, SystemClock, TestClock};
use crate::config::Config;
use crate::store::{Key, Precondition, Store, StoreError, Table, Tx};
use crate::tenancy::stored_clock;

/// Billing time: the machine's, or (`dev.test_clock`) one that can be moved, from where it was left.
pub(super) async fn clock(config: &Config, store: &dyn Store) -> anyhow::Result<(SharedClock, Option<Arc<TestClock>>)> {
    if !config.dev.test_clock {
        return Ok((Arc::new(SystemClock), None));
    }
    tracing::warn!("dev.test_clock is on: billing time can be moved through the admin API; this is no setting for production");
    let left = stored_clock(store).await?;
    let clock = Arc::new(left.map_or_else(TestClock::following, TestClock::at));
    Ok((Arc::clone(&clock) as SharedClock, Some(clock)))
}

/// Signs quotes by a key that is kept in the store, so that they hold over a restart.
pub(super) async fn quotes(store: &dyn Store) -> anyhow::Result<Signer> {
    let name = Key::new(Table::Settings, "quote-key");
    if let Some(record) = store.get(&name).await? {
        return Ok(Signer::new(&record.value));
    }
    let mut key = vec![0; 32];
    rand::fill(&mut key)?;
    let tx = Tx { preconditions: vec![Precondition::Absent(name.clone())], puts: vec![(name, key.clone())], ..Tx::default() };
    match store.commit(tx).await {
        Ok(_) => Ok(Signer::new(&key)),
        Err(error @ StoreError::Conflict(_)) => Err(anyhow::anyhow!(error)),
        Err(error) => Err(error.into()),
    }
}
