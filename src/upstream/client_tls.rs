//! The TLS of upstreams: which roots are trusted, what is negotiated, who the gateway says that it is, and what can go wrong.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, ClientConfig, RootCertStore, SignatureScheme};

use super::TargetError;
use super::identity::Identity;
use crate::config::Upstream;

/// The name of HTTP/2 over TLS (RFC 9113, section 3.2).
pub(super) const HTTP2_PROTOCOL: &[u8] = b"h2";
/// Servers whose session tickets are kept.
const SESSIONS: usize = 1024;

/// Files that TLS with upstreams is set up from.
#[derive(Debug, Clone, Copy, Default)]
pub struct TlsFiles<'p> {
    /// Extra roots (PEM).
    pub ca_file: Option<&'p Path>,
    /// What is shown to upstreams that ask: certificate chain and key (PEM).
    pub identity: Option<(&'p Path, &'p Path)>,
}

impl<'p> TlsFiles<'p> {
    /// As they are configured.
    pub fn of(upstream: &'p Upstream) -> Self {
        let identity = upstream.identity.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()));
        Self { ca_file: upstream.ca_file.as_deref(), identity }
    }
}

/// TLS 1.2 and 1.3 with the system's roots and those of `ca_file`.
pub(super) struct ClientTls {
    roots: Arc<RootCertStore>,
    identity: Option<Identity>,
    configs: ArcSwap<Configs>,
}

/// The same, but for the protocol that is offered in it.
struct Configs {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

/// Without the private key.
impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("roots", &self.roots.len())
            .field("has_identity", &self.identity.is_some())
            .finish_non_exhaustive()
    }
}

impl ClientTls {
    /// Reads the files.
    pub(super) fn load(files: TlsFiles<'_>) -> Result<Arc<Self>, TargetError> {
        let roots = Arc::new(roots(files.ca_file)?);
        let (identity, shown) = match files.identity {
            Some((cert, key)) => Identity::load(cert, key).map(|(identity, shown)| (Some(identity), Some(shown)))?,
            None => (None, None),
        };
        let configs = ArcSwap::from_pointee(Configs::new(&roots, shown)?);
        Ok(Arc::new(Self { roots, identity, configs }))
    }

    /// For the next connection.
    pub(super) fn config(&self, is_http2: bool) -> Arc<ClientConfig> {
        let configs = self.configs.load();
        Arc::clone(if is_http2 { &configs.http2 } else { &configs.http1 })
    }

    /// Takes over a client certificate whose files have changed. The configuration is a new one then: a session of the old
    /// one, resumed, would still be the old certificate's.
    pub(super) fn refresh(&self) {
        let Some(shown) = self.identity.as_ref().and_then(Identity::refresh) else { return };
        match Configs::new(&self.roots, Some(shown)) {
            Ok(configs) => {
                self.configs.store(Arc::new(configs));
                tracing::info!("the client certificate for upstreams was loaded again");
            }
            Err(error) => tracing::error!(%error, "the client certificate for upstreams cannot be used"),
        }
    }
}

impl Configs {
    fn new(roots: &Arc<RootCertStore>, shown: Option<CertifiedKey>) -> Result<Self, TargetError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TargetError(format!("TLS to upstreams cannot be set up: {error}")))?
            .with_root_certificates(Arc::clone(roots));
        let mut config = match shown {
            Some(shown) => builder.with_client_cert_resolver(Arc::new(Shown(Arc::new(shown)))),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        let mut http2 = config.clone();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        http2.alpn_protocols = vec![HTTP2_PROTOCOL.to_vec()];
        Ok(Self { http1: Arc::new(config), http2: Arc::new(http2) })
    }
}

/// The one certificate that there is.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        // The upstream says whether it takes this one; where it cannot check the signature, it gets none and says that.
        self.0.key.choose_scheme(schemes).is_some().then(|| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// What TLS says of a connection that did not come to be, or broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFault {
    /// The upstream's certificate is not trusted, or not for its name.
    Certificate,
    /// The upstream refused, for one because it wants a certificate.
    Alert,
    /// It speaks no TLS, one that is not understood, or not the protocol that is needed in it.
    Protocol,
}

/// A failed handshake, whatever the system calls it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Handshake(pub(super) io::Error);

/// Whether it was TLS that failed.
pub(super) fn tls_fault(error: &io::Error) -> Option<TlsFault> {
    let inner = error.get_ref()?;
    if let Some(Handshake(cause)) = inner.downcast_ref::<Handshake>() {
        return Some(tls_fault(cause).unwrap_or(TlsFault::Protocol));
    }
    match inner.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => Some(TlsFault::Certificate),
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => Some(TlsFault::Protocol),
        rustls::Error::AlertReceived(_) => Some(TlsFault::Alert),
        _ => Some(TlsFault::Protocol),
    }
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, TargetError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::debug!(%error, "a system root certificate could not be read");
    }
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca_file {
        add_file(&mut roots, path)?;
    }
    if roots.is_empty() {
        tracing::warn!(
            "no root certificates are known: upstreams over TLS cannot be verified; install the system's, or set `upstream.ca_file`"
        );
    }
    Ok(roots)
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), TargetError> {
    let wrong = |reason: String| TargetError(format!("`upstream.ca_file` {}: {reason}; name a PEM file with certificates", path.display()));
    let mut count = 0;
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))? {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        count += 1;
    }
    if count == 0 { Err(wrong("no certificate in it".to_owned())) } else { Ok(()) }
}
