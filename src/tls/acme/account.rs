//! The account at the authority: made once, its key sealed in the store. An authority that has forgotten it gets a new one.

use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use instant_acme::{Account, AccountCredentials, NewAccount};

use super::{Issuer, OrderError};
use crate::clock::{Clock, SystemClock};
use crate::model::hex;
use crate::store::{Key, Precondition, StoreError, Table, Tx};

/// For who can do without.
const SHORT: Duration = Duration::from_secs(3);
/// Milliseconds.
const BETWEEN_TRIES: i64 = 30_000;
/// What its key is sealed for.
const NAME: &str = "the account";

impl Issuer {
    /// The account, from memory, the store or the authority.
    pub(super) async fn account(&self) -> Result<Account, OrderError> {
        let mut held = self.account.lock().await;
        if let Some(account) = &*held {
            return Ok(account.clone());
        }
        // First, because what is wrong with it is told best here.
        self.read_directory().await?;
        let account = match self.stored().await? {
            Some(credentials) => Account::builder_with_http(Box::new(self.http.clone())).from_credentials(credentials).await?,
            None => self.register().await?,
        };
        *held = Some(account.clone());
        Ok(account)
    }

    /// The same for who can do without: it waits for nobody else's try, and not long for its own, of which there is one in a while.
    pub(super) async fn account_at_once(&self) -> Result<Account, OrderError> {
        let busy = || OrderError::unavailable("the authority has not answered yet");
        if let Some(account) = &*self.account.try_lock().map_err(|_| busy())? {
            return Ok(account.clone());
        }
        let now = SystemClock.now();
        let before = self.tried.swap(now.0, Ordering::Relaxed);
        if now.0 - before < BETWEEN_TRIES {
            return Err(busy());
        }
        tokio::time::timeout(SHORT, self.account()).await.unwrap_or_else(|_| Err(busy()))
    }

    /// Forgets an account that the authority does not know, unless another has taken its place already.
    pub(super) async fn forget_account(&self, id: &str) {
        let mut held = self.account.lock().await;
        if held.as_ref().is_none_or(|account| account.id() != id) {
            return;
        }
        *held = None;
        let forgotten = self.store.commit(Tx { deletes: vec![self.account_key()], ..Tx::default() }).await;
        match forgotten {
            Ok(_) => tracing::warn!("the certificate authority does not know the account any more; a new one is made"),
            Err(error) => tracing::error!(%error, "the lost account of the certificate authority cannot be removed"),
        }
    }

    async fn stored(&self) -> Result<Option<AccountCredentials>, OrderError> {
        let Some(record) = self.store.get(&self.account_key()).await? else { return Ok(None) };
        let wrong = |error: String| OrderError::unavailable(format!("the stored account cannot be used: {error}"));
        let sealed = STANDARD.decode(&record.value).map_err(|error| wrong(error.to_string()))?;
        let plain = self.vault.open(NAME, &sealed).map_err(|error| wrong(error.to_string()))?;
        serde_json::from_slice(&plain).map(Some).map_err(|error| wrong(error.to_string()))
    }

    async fn register(&self) -> Result<Account, OrderError> {
        let contact: Vec<&str> = self.config.contact.as_deref().into_iter().collect();
        let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let builder = Account::builder_with_http(Box::new(self.http.clone()));
        let (account, credentials) = builder.create(&new, self.config.directory.to_string(), None).await?;
        let plain = serde_json::to_vec(&credentials).map_err(instant_acme::Error::from)?;
        let sealed = self.vault.seal(NAME, &plain).map_err(|error| OrderError::unavailable(error.to_string()))?;
        let key = self.account_key();
        let tx = Tx {
            preconditions: vec![Precondition::Absent(key.clone())],
            puts: vec![(key, STANDARD.encode(sealed).into_bytes())],
            ..Tx::default()
        };
        match self.store.commit(tx).await {
            // Another process was first; ours is as good, and forgotten at the next start.
            Ok(_) | Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
        tracing::info!(directory = %self.config.directory, "an account at the certificate authority was made");
        Ok(account)
    }

    /// One for each authority.
    fn account_key(&self) -> Key {
        let hash = digest::digest(&digest::SHA256, self.config.directory.as_str().as_bytes());
        Key::new(Table::Settings, format!("acme-account/{}", hex(hash.as_ref().iter().take(8))))
    }
}
