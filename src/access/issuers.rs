//! All issuers whose tokens are believed: one verifier for each that is configured, one keyring for all that have the same keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;

use super::key_set::KeySetError;
use super::keyring::Keyring;
use super::token::Verifier;
use crate::model::{Issuer, KeySource, TenantId};

/// The verifiers and keyrings that somebody uses.
#[derive(Default)]
pub struct Issuers {
    common: Arc<[Arc<Verifier>]>,
    wake: Arc<Notify>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    verifiers: HashMap<(Option<TenantId>, Issuer), Weak<Verifier>>,
    rings: HashMap<(String, KeySource), Weak<Keyring>>,
    /// When so many are known, those that nobody has are forgotten.
    enough: usize,
}

impl Known {
    fn prune(&mut self) {
        if self.verifiers.len() >= self.enough {
            self.verifiers.retain(|_, verifier| verifier.strong_count() > 0);
            self.rings.retain(|_, ring| ring.strong_count() > 0);
            self.enough = 64 + self.verifiers.len() * 2;
        }
    }
}

/// Keys that were given for an issuer cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the keys of the issuer `{issuer}` cannot be used: {source}")]
pub struct UnusableKeys {
    issuer: String,
    source: KeySetError,
}

impl Issuers {
    /// With these issuers of all tenants.
    pub fn of(common: &[Issuer]) -> Result<Self, UnusableKeys> {
        let issuers = Self::default();
        let verifier =
            |issuer: &Issuer| issuers.verifier(None, issuer).map_err(|source| UnusableKeys { issuer: issuer.issuer.clone(), source });
        let common = common.iter().map(verifier).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { common: common.into(), ..issuers })
    }

    /// Verify the tokens of issuers of all tenants.
    pub fn common(&self) -> &Arc<[Arc<Verifier>]> {
        &self.common
    }

    /// The verifier of an issuer, of one tenant or of all: the same one as before while anybody has it. Two tenants never share one,
    /// so that what was verified for one is never taken for the other.
    pub fn verifier(&self, tenant: Option<TenantId>, issuer: &Issuer) -> Result<Arc<Verifier>, KeySetError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant, issuer.clone());
        if let Some(verifier) = known.verifiers.get(&key).and_then(Weak::upgrade) {
            return Ok(verifier);
        }
        known.prune();
        let ring = self.ring(&mut known, issuer)?;
        let verifier = Arc::new(Verifier::new(issuer.clone(), ring));
        known.verifiers.insert(key, Arc::downgrade(&verifier));
        Ok(verifier)
    }

    /// Every keyring that somebody uses.
    pub fn rings(&self) -> Vec<Arc<Keyring>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.rings.values().filter_map(Weak::upgrade).collect()
    }

    /// Told when keys are wanted, or there is a new keyring.
    pub fn wake(&self) -> &Notify {
        &self.wake
    }

    fn ring(&self, known: &mut Known, issuer: &Issuer) -> Result<Arc<Keyring>, KeySetError> {
        // Where the URL is given it does not matter who is behind it; found by discovery, the name of the issuer is the way to it.
        let name = if issuer.keys == KeySource::Discovered { issuer.issuer.clone() } else { String::new() };
        let key = (name, issuer.keys.clone());
        if let Some(ring) = known.rings.get(&key).and_then(Weak::upgrade) {
            return Ok(ring);
        }
        let ring = Arc::new(Keyring::new(issuer.issuer.clone(), issuer.keys.clone(), Arc::clone(&self.wake))?);
        known.rings.insert(key, Arc::downgrade(&ring));
        self.wake.notify_one();
        Ok(ring)
    }
}
