//! The certificates that are served, by name: one default pair, a directory of `<domain>.crt`/`<domain>.key` pairs, and those
//! that an authority issued.
//!
//! What it promises: a handshake reads an immutable snapshot and waits for nothing; a file that is bad, half written or does
//! not fit its key never replaces a certificate that works.

mod chains;
mod issued;
mod pair;
mod ready;
mod watch;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use dashmap::DashMap;
use rustls::sign::CertifiedKey;

use crate::clock::{Clock, SystemClock};
use crate::model::Millis;

pub(in crate::tls) use chains::Chains;
pub use issued::{IssuedRecord, Source, Standing};
pub(in crate::tls) use pair::{Pair, check_issued};
use ready::Ready;
pub(in crate::tls) use ready::certified;
use watch::{Changes, Folder, Watched};

use super::dev_issuer::DevIssuer;
use super::vault::Vault;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("`{}` cannot be read: {reason}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says, or what the file is instead.
        reason: String,
    },
    /// There is no certificate in it, or one that cannot be read.
    #[error("`{}` holds no usable certificate ({reason}); it must be a PEM file with the server's own certificate first", path.display())]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is no key in it, or one that cannot be used.
    #[error("`{}` holds no usable private key ({reason}); it must be an unencrypted PEM key: RSA, ECDSA P-256, P-384 or P-521, or Ed25519", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The two files do not belong together.
    #[error(
        "the key in `{}` does not belong to the first certificate in `{}`; give the pair that was issued together, the server's own certificate first",
        key.display(),
        cert.display()
    )]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// A file in the directory is named after a domain that its certificate does not cover.
    #[error("`{}` does not cover `{name}`, which its file name says; name it after a domain that is in its subjectAltName", path.display())]
    NotCovered {
        /// The certificate's file.
        path: PathBuf,
        /// The file's name without `.crt`.
        name: String,
    },
    /// The default pair is needed, and is not there.
    #[error("{0}. Set `tls.cert` and `tls.key` to the certificate of the base domain and its wildcard, or `tls.mode` to \"off\"")]
    Default(Box<CertificateError>),
    /// The directory of pairs cannot be listed.
    #[error("`tls.cert_dir` `{}` cannot be listed: {reason}; create it, or leave the setting empty", path.display())]
    Folder {
        /// Which directory.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

/// All certificates.
pub struct Certificates {
    served: ArcSwap<Served>,
    /// Of the base domain, from an authority.
    base: ArcSwapOption<Pair>,
    /// Of custom domains, from an authority.
    issued: DashMap<Box<str>, Arc<Pair>>,
    /// Makes certificates for names under `localhost`, in development.
    dev: Option<DevIssuer>,
    ready: Ready,
    chains: Arc<Chains>,
    watched: Mutex<Sources>,
}

struct Sources {
    default: Option<Watched>,
    folder: Option<Folder>,
}

/// What handshakes see. Wildcards are kept under their parent: `*.example.com` under `example.com`.
struct Served {
    /// Of the base domain, from files.
    default: Option<Arc<Pair>>,
    exact: HashMap<Box<str>, Arc<Pair>>,
    wildcard: HashMap<Box<str>, Arc<Pair>>,
}

impl Certificates {
    /// Loads the default pair (it has to be good) and every pair of `dir` (a bad pair there is logged and left out). `vault` opens
    /// the keys of issued ones.
    pub fn load(default: Option<(&Path, &Path)>, dir: Option<&Path>, vault: Option<Arc<Vault>>) -> Result<Self, CertificateError> {
        let chains = Arc::new(Chains::default());
        let mut default = default.map(|(cert, key)| Watched::new(cert.to_owned(), key.to_owned(), None, Arc::clone(&chains)));
        let pair = default.as_mut().map(Watched::first_look).transpose();
        let pair = pair.map_err(|error| CertificateError::Default(Box::new(error)))?;
        let mut folder = dir.map(|dir| Folder::new(dir.to_owned(), Arc::clone(&chains)));
        if let Some(folder) = &mut folder {
            folder.list()?;
            let loaded = folder.look().loaded.len();
            folder.complain();
            tracing::info!(loaded, "certificates of domains are loaded from tls.cert_dir");
        }
        let served = Served::of(pair, folder.as_ref(), SystemClock.now());
        let (served, watched) = (ArcSwap::from_pointee(served), Mutex::new(Sources { default, folder }));
        let (base, issued, ready) = (ArcSwapOption::empty(), DashMap::new(), Ready::new(vault));
        Ok(Self { served, base, issued, dev: None, ready, chains, watched })
    }

    /// With certificates for names under `localhost`, made as they are asked for.
    pub fn with_dev_issuer(self, issuer: DevIssuer) -> Self {
        Self { dev: Some(issuer), ..self }
    }

    /// Whether a look at the files changed what is served.
    #[cfg(test)]
    pub(super) fn refresh(&self) -> bool {
        self.look_again().0
    }

    /// Looks for changed, new and removed files; a bad file keeps the old certificate. True where something else is served; and
    /// the names of files in `dir`, without `.crt`, that are not what they were, served or not.
    pub fn look_again(&self) -> (bool, Vec<String>) {
        // What is behind the lock is whole at every moment.
        let mut sources = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let Sources { default, folder } = &mut *sources;
        let mut changed = default.as_mut().is_some_and(Watched::look);
        let mut names = Vec::new();
        if let Some(folder) = folder {
            let Changes { gone, loaded, faulty } = folder.refresh();
            changed |= !gone.is_empty() || !loaded.is_empty();
            for domain in &loaded {
                tracing::info!(%domain, "a certificate was loaded");
            }
            names = [gone, loaded, faulty].concat();
        }
        if changed {
            let pair = default.as_ref().and_then(Watched::pair).or_else(|| self.served.load().default.clone());
            self.served.store(Arc::new(Served::of(pair, folder.as_ref(), SystemClock.now())));
        }
        (changed, names)
    }

    /// What is wrong with the files in `dir` that are called like this domain.
    pub fn problem_of(&self, domain: &str) -> Option<String> {
        let sources = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        sources.folder.as_ref()?.fault_of(domain)
    }

    /// True where a valid pair in `dir` covers this name: what proves a custom domain. In development, names under `localhost` are
    /// this machine's.
    pub fn proves(&self, domain: &str) -> bool {
        let (served, now) = (self.served.load(), SystemClock.now());
        let (exact, wildcard) = served.of_folder(domain);
        [exact, wildcard].into_iter().flatten().any(|pair| pair.is_valid_at(now)) || self.dev.as_ref().is_some_and(|dev| dev.makes(domain))
    }

    /// The certificate for a handshake: the most specific that covers `name`, or the default where no name is asked for.
    pub(in crate::tls) fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let (served, base) = (self.served.load(), self.base.load());
        let default = served.default.as_ref().or(base.as_ref());
        let Some(name) = name else { return self.ready.get(default?) };
        let (exact, wildcard) = served.of_folder(name);
        let in_default = |is_wildcard| default.filter(|pair| pair.covers(name, is_wildcard));
        if let Some(pair) = exact.or_else(|| in_default(false)) {
            return self.ready.get(pair);
        }
        // Out of the map before it is parsed.
        if let Some(pair) = self.issued.get(name).map(|entry| Arc::clone(&entry)) {
            return self.ready.get(&pair);
        }
        match wildcard.or_else(|| in_default(true)) {
            Some(pair) => self.ready.get(pair),
            None => self.dev.as_ref()?.certificate(name),
        }
    }

    /// Whether the default certificate covers `name`; true where there is none yet.
    pub(in crate::tls) fn default_covers(&self, name: &str) -> bool {
        self.served.load().default.as_ref().is_none_or(|pair| pair.names.iter().any(|known| **known == *name))
    }
}

impl Served {
    fn of(default: Option<Arc<Pair>>, folder: Option<&Folder>, now: Millis) -> Self {
        let pairs = folder.into_iter().flat_map(Folder::pairs);
        let mut claims: Vec<(&str, &str, &Arc<Pair>)> =
            pairs.flat_map(|(stem, pair)| pair.names.iter().map(move |name| (&**name, stem, pair))).collect();
        // Later ones win a name: who is valid, then whose file is named so, then who is valid longest.
        claims.sort_by_key(|(name, stem, pair)| (pair.is_valid_at(now), name.eq_ignore_ascii_case(stem), pair.not_after, *stem));
        let mut served = Self { default, exact: HashMap::with_capacity(claims.len()), wildcard: HashMap::new() };
        for (name, _, pair) in claims {
            match name.strip_prefix("*.") {
                Some(parent) => served.wildcard.insert(parent.into(), pair.clone()),
                None => served.exact.insert(name.into(), pair.clone()),
            };
        }
        served
    }

    /// The pairs of the directory that cover `name`: in full, and by a wildcard.
    fn of_folder(&self, name: &str) -> (Option<&Arc<Pair>>, Option<&Arc<Pair>>) {
        let parent = name.split_once('.').map(|(_, parent)| parent);
        (self.exact.get(name), parent.and_then(|parent| self.wildcard.get(parent)))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let served = self.served.load();
        f.debug_struct("Certificates").field("exact", &served.exact.len()).field("wildcard", &served.wildcard.len()).finish_non_exhaustive()
    }
}
