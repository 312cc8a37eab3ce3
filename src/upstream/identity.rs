//! The certificate that the gateway shows to upstreams that ask for one (mutual TLS).
//!
//! Its files are read again when they change; a pair that cannot be used never replaces one that can.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureScheme};

use super::TargetError;

/// Larger files are neither certificates nor keys.
const LARGEST_FILE: u64 = 1 << 20;

/// A certificate chain with its key.
#[derive(Debug)]
pub(super) struct Identity {
    cert: PathBuf,
    key: PathBuf,
    shown: ArcSwap<CertifiedKey>,
    /// What was read last, whether it could be used or not.
    seen: Mutex<Files>,
}

#[derive(Debug, PartialEq, Eq)]
struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Identity {
    /// Reads two PEM files.
    pub(super) fn load(cert: &Path, key: &Path) -> Result<Arc<Self>, TargetError> {
        let files = Files::read(cert, key)?;
        let shown = ArcSwap::from_pointee(files.certified(cert, key)?);
        Ok(Arc::new(Self { cert: cert.to_owned(), key: key.to_owned(), shown, seen: Mutex::new(files) }))
    }

    /// Takes over files that have changed; reads them, so it waits for the disk.
    pub(super) fn refresh(&self) {
        // What is behind the lock is whole at every moment.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = match Files::read(&self.cert, &self.key) {
            Ok(files) if files == *seen => return,
            Ok(files) => {
                *seen = files;
                seen.certified(&self.cert, &self.key)
            }
            // Files on their way, or gone: the next look tells.
            Err(error) => return tracing::debug!(%error, "the client certificate for upstreams cannot be read"),
        };
        match outcome {
            Ok(certified) => {
                self.shown.store(Arc::new(certified));
                tracing::info!("the client certificate for upstreams was loaded again");
            }
            Err(error) => {
                tracing::error!(%error, "the client certificate for upstreams has changed and cannot be used; the old one is kept")
            }
        }
    }
}

impl Files {
    fn read(cert: &Path, key: &Path) -> Result<Self, TargetError> {
        let read = |path: &Path, name: &str| match std::fs::metadata(path) {
            Ok(facts) if facts.len() > LARGEST_FILE => Err(wrong(name, path, &"it is too large for one")),
            Ok(_) => std::fs::read(path).map_err(|error| wrong(name, path, &error)),
            Err(error) => Err(wrong(name, path, &error)),
        };
        Ok(Self { cert: read(cert, "client_cert")?, key: read(key, "client_key")? })
    }

    fn certified(&self, cert: &Path, key: &Path) -> Result<CertifiedKey, TargetError> {
        let bad_cert = |reason: &dyn std::fmt::Display| wrong("client_cert", cert, reason);
        let bad_key = |reason: &dyn std::fmt::Display| wrong("client_key", key, reason);
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(&self.cert).collect::<Result<_, _>>().map_err(|error| bad_cert(&error))?;
        if chain.is_empty() {
            return Err(bad_cert(&"no certificate is in it"));
        }
        let der = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| bad_key(&error))?;
        let certified = CertifiedKey::new(chain, any_supported_type(&der).map_err(|error| bad_key(&error))?);
        match certified.keys_match() {
            // A key that does not tell its public half cannot be compared.
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
            Err(Error::InconsistentKeys(_)) => Err(bad_key(&"it does not belong to the first certificate of `upstream.client_cert`")),
            Err(error) => Err(bad_cert(&error)),
        }
    }
}

fn wrong(name: &str, path: &Path, reason: &dyn std::fmt::Display) -> TargetError {
    let wanted = if name == "client_cert" { "a PEM file, the certificate itself first" } else { "an unencrypted PEM key" };
    TargetError(format!("`upstream.{name}` {}: {reason}; name {wanted}", path.display()))
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown.load_full();
        // The upstream says whether it takes one; where it cannot check the signature, it gets none and says that.
        shown.key.choose_scheme(schemes).is_some().then_some(shown)
    }

    fn has_certs(&self) -> bool {
        true
    }
}
