//! What a certificate authority is answered when it looks whether a name is ours: HTTP-01 (RFC 8555, section 8.3) and
//! TLS-ALPN-01 (RFC 8737).
//!
//! What it promises: an answer is given for its own host and token alone, while the order lasts. Whoever reads waits for nothing.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::sign::CertifiedKey;

use super::certificates::certified;
use crate::model::Host;

/// The protocol that an authority asks for (RFC 8737, section 6.2).
pub const ACME_PROTOCOL: &[u8] = b"acme-tls/1";
/// What precedes the token.
pub const CHALLENGE_PATH: &str = "/.well-known/acme-challenge/";

/// Answers that are given at the moment.
#[derive(Default)]
pub struct Challenges {
    /// By token.
    texts: ArcSwap<HashMap<Box<str>, (Host, Bytes)>>,
    /// By host.
    certificates: ArcSwap<HashMap<Box<str>, Arc<CertifiedKey>>>,
}

/// Takes its answer away when it is dropped.
pub struct Offered {
    challenges: Arc<Challenges>,
    key: Box<str>,
    /// Where it is a certificate: of a host there is one at a time, which may be another by then.
    certificate: Option<Arc<CertifiedKey>>,
}

impl Challenges {
    /// The answer to a request for `path` of `host`.
    pub fn text(&self, host: &str, path: &str) -> Option<Bytes> {
        let token = path.strip_prefix(CHALLENGE_PATH)?;
        let texts = self.texts.load();
        texts.get(token).filter(|(of, _)| of.as_str() == host).map(|(_, text)| text.clone())
    }

    /// The certificate for a handshake in which an authority asks for `host`.
    pub(in crate::tls) fn certificate(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        self.certificates.load().get(host).cloned()
    }

    /// Answers `text` to who asks `host` for `token`.
    pub fn offer_text(self: &Arc<Self>, host: &Host, token: &str, text: &str) -> Offered {
        let text = Bytes::copy_from_slice(text.as_bytes());
        self.texts.rcu(|texts| {
            let mut texts = HashMap::clone(texts);
            texts.insert(token.into(), (host.clone(), text.clone()));
            texts
        });
        Offered { challenges: Arc::clone(self), key: token.into(), certificate: None }
    }

    /// Shows who asks for `host` a certificate with `digest` in it, self-signed (RFC 8737, section 3).
    pub fn offer_certificate(self: &Arc<Self>, host: &Host, digest: &[u8; 32]) -> Result<Offered, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![host.to_string()])?;
        params.distinguished_name = DistinguishedName::new();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let certificate = params.self_signed(&key)?;
        let shown = Arc::new(certified(&certificate, &key)?);
        self.certificates.rcu(|certificates| {
            let mut certificates = HashMap::clone(certificates);
            certificates.insert(host.as_str().into(), Arc::clone(&shown));
            certificates
        });
        Ok(Offered { challenges: Arc::clone(self), key: host.as_str().into(), certificate: Some(shown) })
    }
}

impl Drop for Offered {
    fn drop(&mut self) {
        let Some(own) = &self.certificate else {
            self.challenges.texts.rcu(|texts| {
                let mut texts = HashMap::clone(texts);
                texts.remove(&self.key);
                texts
            });
            return;
        };
        self.challenges.certificates.rcu(|certificates| {
            let mut certificates = HashMap::clone(certificates);
            if certificates.get(&self.key).is_some_and(|shown| Arc::ptr_eq(shown, own)) {
                certificates.remove(&self.key);
            }
            certificates
        });
    }
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenges").field("texts", &self.texts.load().len()).finish_non_exhaustive()
    }
}
