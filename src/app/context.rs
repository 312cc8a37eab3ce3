//! Who signs the context of requests, where that is wanted.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::certificates::vault;
use crate::access::ContextSigner;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::store::Store;
use crate::tenancy::context_keys;
use crate::tls::Vault;

/// The signer, what its keys are sealed with, and how long each is used.
pub(super) async fn signer(config: &Config, store: &dyn Store) -> anyhow::Result<Option<(Arc<ContextSigner>, Arc<Vault>, Duration)>> {
    let settings = &config.context;
    if !settings.signed {
        return Ok(None);
    }
    let vault = Arc::new(vault(config, store).await?);
    let (keys, _) =
        context_keys(store, &vault, settings.rotate, SystemClock.now()).await.context("the keys of [context] cannot be used")?;
    let signer = ContextSigner::new(settings.issuer.clone(), settings.audience.clone(), settings.lifetime, keys);
    Ok(Some((Arc::new(signer), vault, settings.rotate)))
}
