//! Certificates that an authority issued, as they are stored, and what is known of the certificate of a name.

use std::sync::{Arc, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::watch::Folder;
use super::{Certificates, Pair};
use crate::model::Millis;

/// An issued certificate in the store.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuedRecord {
    /// PEM, the certificate itself first.
    pub chain: String,
    /// The private key (PKCS #8), sealed for the name, in base64.
    pub key: String,
    /// When it was issued.
    pub issued_at: Millis,
    /// By the authority with this directory.
    #[serde(default)]
    pub directory: String,
}

/// Where a certificate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From files.
    Files,
    /// From an ACME authority.
    Acme,
}

/// How a name stands for certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Where the one that is served comes from.
    pub source: Source,
    /// From when on it is valid.
    pub not_before: Millis,
    /// Until when.
    pub not_after: Millis,
}

impl Standing {
    /// Whether clients accept it at `now`.
    pub fn is_valid_at(&self, now: Millis) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

impl IssuedRecord {
    /// With its key sealed already.
    pub fn new(chain: String, sealed: &[u8], issued_at: Millis, directory: &str) -> Self {
        Self { chain, key: STANDARD.encode(sealed), issued_at, directory: directory.to_owned() }
    }

    /// Directory of the authority that issued a stored certificate.
    pub fn directory_of(stored: &[u8]) -> Option<String> {
        serde_json::from_slice::<Self>(stored).ok().map(|record| record.directory)
    }

    fn pair(&self, name: &str, certificates: &Certificates) -> Result<Pair, String> {
        let sealed = STANDARD.decode(&self.key).map_err(|error| error.to_string())?;
        Pair::issued(name, &self.chain, &sealed, &certificates.chains)
    }
}

impl Certificates {
    /// Serves what is stored for a name, or nothing. Connections that are open notice nothing of it.
    pub fn set_issued(&self, name: &str, stored: Option<&[u8]>) {
        let pair = self.read(name, stored);
        let before = self.issued.get(name).map(|entry| Arc::clone(&entry));
        match (pair, before) {
            (Some(pair), Some(before)) if before.is_same_as(&pair) => {}
            (Some(pair), before) => {
                self.issued.insert(name.into(), Arc::new(pair));
                before.iter().for_each(|before| self.ready.forget(before));
            }
            (None, before) => {
                self.issued.remove(name);
                before.iter().for_each(|before| self.ready.forget(before));
            }
        }
    }

    /// Serves what is stored for the base domain, where no file is given for that.
    pub fn set_base(&self, name: &str, stored: Option<&[u8]>) {
        let before = self.base.swap(self.read(name, stored).map(Arc::new));
        before.iter().for_each(|before| self.ready.forget(before));
    }

    fn read(&self, name: &str, stored: Option<&[u8]>) -> Option<Pair> {
        let record = |bytes: &[u8]| {
            let record: IssuedRecord = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
            record.pair(name, self)
        };
        let read = stored.map(record).transpose();
        read.inspect_err(|error| tracing::error!(name, %error, "a stored certificate cannot be read; it is ordered again")).ok().flatten()
    }

    /// What an authority issued for the base domain, and until when it is valid.
    pub fn base(&self) -> Option<(CertificateDer<'static>, Standing)> {
        let pair = self.base.load_full()?;
        Some((pair.leaf().into_owned(), pair.standing(Source::Acme)))
    }

    /// What an authority issued for a name.
    pub fn issued(&self, name: &str) -> Option<CertificateDer<'static>> {
        self.issued.get(name).map(|pair| pair.leaf().into_owned())
    }

    /// How a name stands: what a handshake for it would be given. The default certificate does not count.
    pub fn standing(&self, name: &str) -> Option<Standing> {
        let served = self.served.load();
        let (exact, wildcard) = served.of_folder(name);
        let issued = self.issued.get(name).map(|entry| Arc::clone(&entry));
        let found = exact.map(|pair| (Source::Files, pair)).or(issued.as_ref().map(|pair| (Source::Acme, pair)));
        if let Some((source, pair)) = found.or(wildcard.map(|pair| (Source::Files, pair))) {
            return Some(pair.standing(source));
        }
        let dev = self.dev.as_ref().filter(|dev| dev.makes(name))?;
        let (not_before, not_after) = dev.validity();
        Some(Standing { source: Source::Files, not_before, not_after })
    }

    /// How many pairs of `dir` cannot be used as they are.
    pub fn faults(&self) -> usize {
        let sources = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        sources.folder.as_ref().map_or(0, Folder::faults)
    }

    /// How many certificates there are from files and from an authority, and when the first of them ends.
    pub fn census(&self) -> (usize, usize, Millis) {
        let (served, base) = (self.served.load(), self.base.load());
        let files: Vec<&Arc<Pair>> = served.exact.values().chain(served.wildcard.values()).chain(&served.default).collect();
        let soonest_of_files = files.iter().map(|pair| pair.not_after).min();
        let issued = self.issued.iter().map(|entry| entry.not_after).chain(base.iter().map(|pair| pair.not_after));
        let soonest = soonest_of_files.into_iter().chain(issued).min().unwrap_or(Millis(0));
        (files.len(), self.issued.len() + usize::from(base.is_some()), soonest)
    }
}
