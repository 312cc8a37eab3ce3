//! Chains of authorities, each kept once: thousands of certificates come with the same two intermediates.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateDer;

/// What follows a server's own certificate.
pub type Rest = Vec<CertificateDer<'static>>;

/// How many may be kept before those that nobody has any more are let go.
const SOME: usize = 64;

/// All chains that are in use.
#[derive(Default)]
pub struct Chains(Mutex<HashSet<Arc<Rest>>>);

impl Chains {
    /// The one copy of a chain.
    pub fn shared(&self, rest: Rest) -> Arc<Rest> {
        // A set is whole at every moment.
        let mut chains = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = chains.get(&rest) {
            return Arc::clone(known);
        }
        if chains.len() >= SOME && chains.len().is_power_of_two() {
            chains.retain(|chain| Arc::strong_count(chain) > 1);
        }
        let rest = Arc::new(rest);
        chains.insert(Arc::clone(&rest));
        rest
    }
}

impl fmt::Debug for Chains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chains").finish_non_exhaustive()
    }
}
