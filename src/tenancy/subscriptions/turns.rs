//! One at a time for each tenant: so that two who find the same thing due do not ask the payment provider for it side by side.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::model::TenantId;

/// Whose turn it is.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<TenantId, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for the turn, which ends when what is given is dropped.
    pub(super) async fn take(&self, tenant: TenantId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody waits for a turn that only this table knows.
            all.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(all.entry(tenant).or_default())
        };
        turn.lock_owned().await
    }
}
