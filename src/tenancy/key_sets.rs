//! The keys of issuers as they were fetched last are kept in the store, so that a gateway that starts while an issuer cannot be
//! reached knows them still.

use aws_lc_rs::digest;
use serde_json::Value;

use super::TenancyError;
use super::change::encode;
use crate::access::{Issuers, KeySet, Keyring};
use crate::model::{KeySource, hex};
use crate::store::{Key, Store, Table, Tx};

/// Gives every keyring what was kept of it. What can be read no more is fetched anew.
pub async fn restore_key_sets(store: &dyn Store, issuers: &Issuers) -> Result<(), TenancyError> {
    for ring in issuers.rings() {
        let Some(place) = place(&ring) else { continue };
        let Some(record) = store.get(&place).await? else { continue };
        if let Some(set) = serde_json::from_slice::<Value>(&record.value).ok().and_then(|kept| KeySet::read(kept).ok()) {
            ring.restore(set);
        }
    }
    Ok(())
}

/// Keeps what was fetched. It is public, and no privileged operation.
pub async fn keep_key_set(store: &dyn Store, ring: &Keyring) -> Result<(), TenancyError> {
    if let (Some(place), Some(set)) = (place(ring), ring.current()) {
        store.commit(Tx { puts: vec![(place, encode(set.source())?)], ..Tx::default() }).await?;
    }
    Ok(())
}

/// By where they come from; keys that were given are in the configuration or with their tenant.
fn place(ring: &Keyring) -> Option<Key> {
    let from = match &ring.source {
        KeySource::Given(_) => return None,
        KeySource::Discovered => format!("issuer {}", ring.issuer),
        KeySource::Url(url) => format!("url {url}"),
    };
    let name = hex(digest::digest(&digest::SHA256, from.as_bytes()).as_ref());
    Some(Key::new(Table::Settings, format!("jwks/{name}")))
}
