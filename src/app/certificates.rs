//! How certificates come to be: the vault, those from files, the authority, and who looks after custom domains.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Addresses;
use crate::config::{Config, TlsMode};
use crate::dns::{Dns, Updater};
use crate::store::{Key, Precondition, Store, Table, Tx};
use crate::tenancy::{BaseCertificate, Keeper, Own, Tenants};
use crate::tls::{Certificates, Challenges, Issuer, Vault, dev_issuer};

/// What the TLS listener and its authority need.
#[derive(Clone, Default)]
pub(super) struct Tls {
    pub certificates: Option<Arc<Certificates>>,
    pub challenges: Option<Arc<Challenges>>,
    pub issuer: Option<Arc<Issuer>>,
}

/// Loads what the mode needs.
pub(super) async fn load(config: &Config, store: &Arc<dyn Store>) -> anyhow::Result<Tls> {
    match config.tls.mode {
        TlsMode::Off => Ok(Tls::default()),
        TlsMode::Files => Ok(Tls { certificates: Some(from_files(config, None)?), ..Tls::default() }),
        TlsMode::Acme => {
            let vault = Arc::new(vault(config, &**store).await?);
            let challenges = Arc::new(Challenges::default());
            let issuer = Issuer::new(&config.tls.acme, Arc::clone(store), Arc::clone(&vault), Arc::clone(&challenges))?;
            let certificates = Some(from_files(config, Some(vault))?);
            Ok(Tls { certificates, challenges: Some(challenges), issuer: Some(Arc::new(issuer)) })
        }
    }
}

/// Asks the configured name servers, else those of the system, where there are any.
pub(super) fn dns(config: &Config) -> Option<Dns> {
    let dns = Dns::new(&config.domains.name_servers);
    dns.inspect_err(|error| tracing::warn!(%error, "custom domains cannot be proved by DNS")).ok()
}

/// Looks after the tenants' domains.
pub(super) fn keeper(tenants: &Arc<Tenants>, dns: Option<Dns>, tls: &Tls, addresses: &Addresses) -> Keeper {
    let config = &tenants.config;
    let own = Own {
        listening: [Some(addresses.http), addresses.https].into_iter().flatten().map(|address| address.ip()).collect(),
        http_port: config.listen.public_http_port.unwrap_or(addresses.http.port()),
        https_port: config.listen.public_https_port.or(addresses.https.map(|https| https.port())).unwrap_or(443),
    };
    Keeper::new(Arc::clone(tenants), dns, (tls.certificates.clone(), tls.issuer.clone()), own)
}

/// From files; in development they are made, and in mode `acme` the base domain's may come from the authority.
fn from_files(config: &Config, vault: Option<Arc<Vault>>) -> anyhow::Result<Arc<Certificates>> {
    let tls = &config.tls;
    let dir = tls.cert_dir.as_deref();
    let hint = "set tls.cert and tls.key (certs/README.md shows how to make them), or tls.mode = \"off\" behind something that ends TLS";
    if config.makes_dev_certificates() {
        let (made, issuer) = dev_issuer(tls.cert_folder(), &config.tenancy.base_domain).context(hint)?;
        tracing::info!(ca = %made.ca.display(), "certificates for development are used; `gatehouse trust` makes clients trust them");
        let loaded = Certificates::load(Some((&made.cert, &made.key)), dir, vault).context(hint)?;
        return Ok(Arc::new(loaded.with_dev_issuer(issuer)));
    }
    let default = (tls.mode == TlsMode::Files || tls.acme.dns01.is_none()).then_some((tls.cert.as_path(), tls.key.as_path()));
    Ok(Arc::new(Certificates::load(default, dir, vault).context(hint)?))
}

/// The base domain's certificate, where the authority issues it.
pub(super) async fn base_certificate(
    config: &Config,
    store: &Arc<dyn Store>,
    dns: Option<Dns>,
    tls: &Tls,
) -> anyhow::Result<Option<BaseCertificate>> {
    let (Some(dns01), Some(issuer), Some(certificates)) = (&config.tls.acme.dns01, &tls.issuer, &tls.certificates) else { return Ok(None) };
    let base_domain = &config.tenancy.base_domain;
    let updater = Updater::new(dns01, base_domain)?;
    let served = (Arc::clone(issuer), Arc::clone(certificates));
    Ok(Some(BaseCertificate::load(Arc::clone(store), served, (updater, dns), base_domain).await?))
}

/// The vault, if its key is the one that sealed what is stored.
pub(super) async fn vault(config: &Config, store: &dyn Store) -> anyhow::Result<Vault> {
    let key = Key::new(Table::Settings, "vault-mark");
    let mark = store.get(&key).await?;
    let vault = Vault::open_with(config.store.key.as_ref(), &config.store.key_file, mark.is_some())?;
    if let Some(mark) = mark {
        if STANDARD.decode(&mark.value).is_ok_and(|mark| vault.knows(&mark)) {
            return Ok(vault);
        }
        bail!(
            "the private keys in the store were sealed with another key than the one in {}; bring that back (store.key or \
             store.key_file)",
            if config.store.key.is_some() { "store.key".to_owned() } else { config.store.key_file.display().to_string() }
        );
    }
    let mark = STANDARD.encode(vault.mark()?).into_bytes();
    let tx = Tx { preconditions: vec![Precondition::Absent(key.clone())], puts: vec![(key, mark)], ..Tx::default() };
    store.commit(tx).await.context("the mark of the key that seals private keys cannot be stored")?;
    Ok(vault)
}
