//! Certificates that are ready for handshakes: the ones that were used last, and not more than so many of them.

use std::sync::Arc;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use rcgen::KeyPair;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use super::Pair;
use crate::tls::vault::Vault;

/// The most; each takes about 3 KiB.
const MOST: u64 = 16_384;

/// Least recently used ones are let go, and made again when someone asks.
pub struct Ready {
    cache: Cache<u64, Arc<CertifiedKey>>,
    vault: Option<Arc<Vault>>,
}

impl Ready {
    /// None yet.
    pub fn new(vault: Option<Arc<Vault>>) -> Self {
        Self { cache: Cache::builder().max_capacity(MOST).eviction_policy(EvictionPolicy::lru()).build(), vault }
    }

    /// The certificate and key of a pair, parsed once by whoever asks first. A key that cannot be opened is told of.
    pub fn get(&self, pair: &Pair) -> Option<Arc<CertifiedKey>> {
        let made = self.cache.try_get_with(pair.id, || pair.ready(self.vault.as_deref()).map(Arc::new));
        made.inspect_err(|error| tracing::error!(names = ?pair.names, %error, "a certificate cannot be served")).ok()
    }

    /// Lets go of one that is no longer served.
    pub fn forget(&self, pair: &Pair) {
        self.cache.invalidate(&pair.id);
    }
}

/// A certificate that was just made, with its key.
pub fn certified(certificate: &rcgen::Certificate, key: &KeyPair) -> Result<CertifiedKey, rcgen::Error> {
    let der = PrivateKeyDer::try_from(key.serialize_der()).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    let signer = any_supported_type(&der).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], signer))
}
