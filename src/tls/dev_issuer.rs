//! Certificates for names under `localhost` while one develops: made when a handshake asks for them, by the root that
//! [`write_dev_certificates`](super::write_dev_certificates) has made.
//!
//! `*.localhost` would not do: clients take no wildcard right below a top-level domain.

use std::sync::Arc;

use moka::sync::Cache;
use rcgen::{Issuer, KeyPair};
use rustls::sign::CertifiedKey;

use super::certificates::certified;
use super::dev_ca::{LEAF_DAYS, leaf_for};
use crate::clock::{Clock, SystemClock};
use crate::model::Millis;

const MOST: u64 = 1_000;
const SUFFIX: &str = ".localhost";

/// Makes them, and keeps the last ones.
pub struct DevIssuer {
    root: Issuer<'static, KeyPair>,
    made: Cache<Box<str>, Arc<CertifiedKey>>,
    since: Millis,
}

impl DevIssuer {
    /// With this root.
    pub fn new(root: Issuer<'static, KeyPair>) -> Self {
        Self { root, made: Cache::new(MOST), since: SystemClock.now() }
    }

    /// Whether it makes certificates for this name.
    pub fn makes(&self, name: &str) -> bool {
        name.strip_suffix(SUFFIX).is_some_and(|label| !label.is_empty())
    }

    /// The certificate for a name; none for one that is not under `localhost`.
    pub(in crate::tls) fn certificate(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        if !self.makes(name) {
            return None;
        }
        let made = self.made.try_get_with(name.into(), || self.make(name).map(Arc::new));
        made.inspect_err(|error| tracing::error!(name, %error, "a development certificate cannot be made")).ok()
    }

    /// From when until when those are valid that are made now.
    pub fn validity(&self) -> (Millis, Millis) {
        (self.since, self.since.plus_days(LEAF_DAYS))
    }

    fn make(&self, name: &str) -> Result<CertifiedKey, rcgen::Error> {
        let key = KeyPair::generate()?;
        let leaf = leaf_for(vec![name.to_owned()], SystemClock.now())?.signed_by(&key, &self.root)?;
        certified(&leaf, &key)
    }
}
