//! Certificates from an authority that speaks ACME (RFC 8555): one order after the other is asked for here; when and for
//! whom is decided elsewhere.

mod account;
mod error;
mod http;
mod order;
mod probe;
mod renewal;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

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
    /// When somebody who can do without it last tried, in milliseconds.
    tried: AtomicI64,
    /// The authority's names in CAA records, once its directory was read.
    identities: Mutex<Option<Vec<String>>>,
}

impl Issuer {
    /// Nobody is asked anything yet.
    pub fn new(config: &config::Acme, store: Arc<dyn Store>, vault: Arc<Vault>, challenges: Arc<Challenges>) -> Result<Self, RootsError> {
        let http = Http::new(config.ca_file.as_deref())?;
        Ok(Self {
            config: config.clone(),
            store,
            vault,
            challenges,
            http,
            account: Mutex::default(),
            tried: AtomicI64::new(0),
            identities: Mutex::default(),
        })
    }

    /// Its directory.
    pub fn directory(&self) -> &str {
        self.config.directory.as_str()
    }

    /// The authority's names in CAA records (RFC 8555, section 7.1.1): those configured, else those it tells; maybe none.
    pub async fn identities(&self) -> Result<Vec<String>, OrderError> {
        if !self.config.caa_identities.is_empty() {
            return Ok(self.config.caa_identities.clone());
        }
        // Whoever comes while another asks looks again later.
        let mut known = self.identities.try_lock().map_err(|_| OrderError::unavailable("the authority has not answered yet"))?;
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let directory = self.read_directory().await?;
        let listed = directory["meta"]["caaIdentities"].as_array().into_iter().flatten();
        let names: Vec<String> = listed.filter_map(|name| name.as_str()).map(str::to_owned).collect();
        *known = Some(names.clone());
        Ok(names)
    }

    /// What the directory says. An error names it, since it may be the wrong one.
    async fn read_directory(&self) -> Result<serde_json::Value, OrderError> {
        let url = self.directory();
        let named = |error: OrderError| OrderError { detail: format!("{url}: {}", error.detail), ..error };
        let (status, document) = self.http.get_json(url).await.map_err(named)?;
        match document {
            Some(document) if document["newOrder"].is_string() => Ok(document),
            _ if status.is_server_error() => Err(OrderError::unavailable(format!("{url} answers {status}"))),
            _ => Err(OrderError::misconfigured(format!("{url} is no directory of an ACME authority; it answers {status}"))),
        }
    }
}
