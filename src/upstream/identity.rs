//! The certificate that the gateway shows to upstreams that ask for one (mutual TLS).
//!
//! Its files are read again when they change; a pair that cannot be used never replaces one that can, and is told of once.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::TargetError;

/// Larger files are neither certificates nor keys.
const LARGEST_FILE: u64 = 1 << 20;

/// Where a certificate chain and its key are.
pub(super) struct Identity {
    cert: PathBuf,
    key: PathBuf,
    state: Mutex<State>,
}

struct State {
    used: Files,
    /// What was wrong at the last look, and whether it was told: one file may be written before the other, so that the first
    /// look at a change may find a pair that is none.
    complaint: Option<(String, bool)>,
}

#[derive(PartialEq, Eq)]
struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Identity {
    /// Reads two PEM files.
    pub(super) fn load(cert: &Path, key: &Path) -> Result<(Self, CertifiedKey), TargetError> {
        let used = Files::read(cert, key)?;
        let certified = used.certified(cert, key)?;
        let state = Mutex::new(State { used, complaint: None });
        Ok((Self { cert: cert.to_owned(), key: key.to_owned(), state }, certified))
    }

    /// What has changed files, and can be used; reads them, so it waits for the disk.
    pub(super) fn refresh(&self) -> Option<CertifiedKey> {
        // What is behind the lock is whole at every moment.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let looked = Files::read(&self.cert, &self.key).and_then(|files| {
            let changed = files != state.used;
            changed.then(|| files.certified(&self.cert, &self.key).map(|certified| (files, certified))).transpose()
        });
        match looked {
            Ok(None) => {
                state.complaint = None;
                None
            }
            Ok(Some((files, certified))) => {
                *state = State { used: files, complaint: None };
                Some(certified)
            }
            Err(error) => {
                state.complain(error.to_string());
                None
            }
        }
    }
}

impl State {
    fn complain(&mut self, text: String) {
        match &mut self.complaint {
            Some((known, told)) if *known == text => {
                if !std::mem::replace(told, true) {
                    tracing::error!(error = text, "the client certificate for upstreams cannot be used any more; the old one is kept");
                }
            }
            complaint => *complaint = Some((text, false)),
        }
    }
}

impl Files {
    fn read(cert: &Path, key: &Path) -> Result<Self, TargetError> {
        let read = |path: &Path, name: &str| match std::fs::metadata(path) {
            Ok(facts) if !facts.is_file() => Err(wrong(name, path, &"it is no file")),
            Ok(facts) if facts.len() > LARGEST_FILE => Err(wrong(name, path, &"it is too large")),
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
