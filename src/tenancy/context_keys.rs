//! The keys that sign the tenant context: kept sealed in the store, replaced before they are old.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::change::{decode, encode};
use super::{Cause, TenancyError};
use crate::access::{ContextKey, LEAD};
use crate::model::Millis;
use crate::store::{Key, Precondition, Store, StoreError, Table, Tx};
use crate::tls::Vault;

/// What keys are sealed for.
const SEALED_FOR: &str = "tenant context";
/// How long a key is published after the next one signs.
const AFTER: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    created_at: Millis,
    sealed: String,
}

/// The keys that are published at `now`, the oldest first: those that are kept, with a new one where the newest is older than
/// `every`, and without those that the next one has long replaced. True where anything changed.
pub async fn context_keys(store: &dyn Store, vault: &Vault, every: Duration, now: Millis) -> Result<(Vec<ContextKey>, bool), TenancyError> {
    let place = Key::new(Table::Settings, "context-keys");
    let record = store.get(&place).await?;
    let kept: Vec<Kept> = record.as_ref().map_or_else(|| Ok(Vec::new()), |record| decode(&record.key, &record.value))?;
    let count = kept.len();
    let is_new_needed = kept.last().is_none_or(|newest| newest.created_at.plus(every) <= now);
    let mut next = without_old(kept, now);
    let mut added = None;
    if is_new_needed {
        let (key, octets) = ContextKey::draw(now).map_err(|error| refused(&error))?;
        let sealed = vault.seal(SEALED_FOR, &octets).map_err(|error| refused(&error))?;
        next.push(Kept { created_at: now, sealed: STANDARD.encode(sealed) });
        added = Some(key.id);
    }
    let keys = next.iter().map(|kept| open(vault, kept)).collect::<Result<Vec<_>, _>>()?;
    let has_changed = added.is_some() || next.len() != count;
    if has_changed {
        let precondition = record.map_or(Precondition::Absent(place.clone()), |it| Precondition::Unchanged(place.clone(), it.version));
        let cause = Cause::of("system", now);
        let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
        let audit = vec![cause.audit("context_keys.changed", None, None, Some(json!({"published": ids, "added": added})))];
        let tx = Tx { preconditions: vec![precondition], puts: vec![(place, encode(&next)?)], audit, ..Tx::default() };
        store.commit(tx).await?;
    }
    Ok((keys, has_changed))
}

/// A key goes when the one after it has signed for long enough.
fn without_old(kept: Vec<Kept>, now: Millis) -> Vec<Kept> {
    let replaced_at: Vec<Option<Millis>> =
        (0..kept.len()).map(|at| kept.get(at + 1).map(|next| next.created_at.plus(LEAD + AFTER))).collect();
    kept.into_iter().zip(replaced_at).filter(|(_, replaced)| replaced.is_none_or(|at| at > now)).map(|(kept, _)| kept).collect()
}

fn open(vault: &Vault, kept: &Kept) -> Result<ContextKey, TenancyError> {
    let sealed = STANDARD.decode(&kept.sealed).map_err(|error| refused(&error))?;
    let octets = vault.open(SEALED_FOR, &sealed).map_err(|error| refused(&error))?;
    ContextKey::read(&octets, kept.created_at).map_err(|error| refused(&error))
}

fn refused(error: &dyn std::error::Error) -> TenancyError {
    TenancyError::Store(StoreError::Refused(format!("the keys of the tenant context: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::memory::Memory;

    #[tokio::test]
    async fn keys_follow_each_other_and_overlap() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open_with(None, &dir.path().join("key"), false).unwrap();
        let (store, start, every) = (Memory::default(), Millis(1_800_000_000_000), Duration::from_secs(30 * 24 * 3600));
        let ids = async |hours: i64| {
            let (keys, changed) = context_keys(&store, &vault, every, Millis(start.0 + hours * 3_600_000)).await.unwrap();
            (keys.into_iter().map(|key| key.id).collect::<Vec<_>>(), changed)
        };
        let (first, changed) = ids(0).await;
        assert!(changed && first.len() == 1);
        assert_eq!(ids(1).await, (first.clone(), false));
        let (both, _) = ids(30 * 24).await;
        assert!(both.len() == 2 && both[0] == first[0]);
        assert_eq!(ids(30 * 24 + 24).await, (both.clone(), false));
        assert_eq!(ids(30 * 24 + 25).await, (vec![both[1].clone()], true));
    }
}
