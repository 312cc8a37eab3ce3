//! The TLS of https upstreams: which roots are trusted, what is negotiated.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::TargetError;
use super::identity::Identity;

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

/// TLS 1.2 and 1.3, HTTP/1.1 only, with the system's roots and those of `ca_file`.
pub(super) fn client_config(ca_file: Option<&Path>, identity: Option<Arc<Identity>>) -> Result<Arc<ClientConfig>, TargetError> {
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
            "no root certificates are known: https upstreams cannot be verified; install the system's, or set `upstream.ca_file`"
        );
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TargetError(format!("TLS to upstreams cannot be set up: {error}")))?
        .with_root_certificates(roots);
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(identity),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(Arc::new(config))
}

/// What TLS says of a connection that did not come to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFault {
    /// The upstream's certificate is not trusted, or not for its name.
    Certificate,
    /// The upstream refused, for one because it wants a certificate.
    Alert,
    /// It speaks no TLS, or one that is not understood.
    Protocol,
}

/// Whether it was TLS that failed.
pub(super) fn tls_fault(error: &io::Error) -> Option<TlsFault> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => Some(TlsFault::Certificate),
        rustls::Error::AlertReceived(_) => Some(TlsFault::Alert),
        _ => Some(TlsFault::Protocol),
    }
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
