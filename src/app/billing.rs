//! What billing is built of: its clock, the key that signs quotes, the payment provider and the way of its messages.

use std::sync::Arc;

use aws_lc_rs::rand;
use bytes::Bytes;
use http::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use crate::billing::payments::{Http, Manual, Payments, Stripe};
use crate::billing::quote::Signer;
use crate::clock::{SharedClock, SystemClock, TestClock};
use crate::config::{Config, Provider};
use crate::proxy::{Notice, Notices};
use crate::store::{Key, Precondition, Store, StoreError, Table, Tx};
use crate::tenancy::{Biller, Hook, stored_clock};

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

/// Who takes tenants' money.
pub(super) fn payments(config: &Config) -> Arc<dyn Payments> {
    match (config.billing.provider, &config.billing.stripe_secret_key) {
        (Provider::Stripe, Some(key)) => Arc::new(Stripe::new(Http::new(&config.billing.stripe_api, key.clone()))),
        // A configuration with Stripe and without its key is refused.
        (Provider::Stripe, None) | (Provider::Manual, _) => Arc::new(Manual),
    }
}

/// Takes the provider's messages, where there is one and its messages can be told from others'.
pub(super) fn hook(config: &Config, biller: &Arc<Biller>, clock: &SharedClock) -> Option<Arc<Hook>> {
    let secret = config.billing.stripe_webhook_secret.clone().filter(|_| config.billing.provider == Provider::Stripe)?;
    Some(Arc::new(Hook::new(Arc::clone(biller), secret, Arc::clone(clock))))
}

/// Brings messages from the data plane to the hook, and its answers back.
pub(super) fn notices(hook: Option<&Arc<Hook>>, jobs: &mut JoinSet<()>) -> Option<Notices> {
    let hook = Arc::clone(hook?);
    let (notices, mut waiting) = Notices::new();
    jobs.spawn(async move {
        let mut under_way = JoinSet::new();
        while let Some(Notice { signature, body, answer }) = waiting.recv().await {
            while under_way.try_join_next().is_some() {}
            let hook = Arc::clone(&hook);
            under_way.spawn(async move {
                let told = match hook.take(signature.as_deref(), &body).await {
                    Ok(()) => (StatusCode::OK, json!({"received": true})),
                    Err((status, code, detail)) => (status, json!({"status": status.as_u16(), "code": code, "detail": detail})),
                };
                // Whoever has asked may be gone.
                let _ = answer.send((told.0, Bytes::from(told.1.to_string())));
            });
        }
    });
    Some(notices)
}
