//! Certificates from an authority that speaks ACME (RFC 8555): one order after the other is asked for here; when and for
//! whom is decided elsewhere.

mod account;
mod error;
mod http;
mod order;
mod probe;
mod renewal;

use std::sync::Arc;

use instant_acme::Account;
use tokio::sync::Mutex;

use self::http::Http;
use super::challenges::Challenges;
use super::vault::Vault;
use crate::config;
use crate::store::Store;

pub use self::error::{OrderError, OrderFault};
pub use self::http::RootsError;
pub use self::order::{Issued, Method, OrderRequest, Zone};
pub use self::probe::{Probe, ProbeError};
pub use self::renewal::RenewalWindow;

/// Orders certificates from one authority.
pub struct Issuer {
    config: config::Acme,
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    challenges: Arc<Challenges>,
    http: Http,
    /// Known once it was needed.
    account: Mutex<Option<Account>>,
    /// The authority's names in CAA records, once its directory was read.
    identities: Mutex<Option<Vec<String>>>,
}

impl Issuer {
    /// Nobody is asked anything yet.
    pub fn new(config: &config::Acme, store: Arc<dyn Store>, vault: Arc<Vault>, challenges: Arc<Challenges>) -> Result<Self, RootsError> {
        let http = Http::new(config.ca_file.as_deref())?;
        Ok(Self { config: config.clone(), store, vault, challenges, http, account: Mutex::default(), identities: Mutex::default() })
    }

    /// The authority's names in CAA records (RFC 8555, section 7.1.1): those configured, else those it tells; maybe none.
    pub async fn identities(&self) -> Result<Vec<String>, OrderError> {
        if !self.config.caa_identities.is_empty() {
            return Ok(self.config.caa_identities.clone());
        }
        let mut known = self.identities.lock().await;
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let directory = self.http.get_json(self.config.directory.as_str()).await?;
        let listed = directory["meta"]["caaIdentities"].as_array().into_iter().flatten();
        let names: Vec<String> = listed.filter_map(|name| name.as_str()).map(str::to_owned).collect();
        *known = Some(names.clone());
        Ok(names)
    }
}
