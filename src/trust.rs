//! Whom gatehouse trusts as a client of servers on the internet: the system's roots, over TLS 1.2 and 1.3.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

/// The roots of the system; those that cannot be parsed are left out.
pub fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// A client that believes these roots and shows no certificate of its own.
pub fn client_config(roots: RootCertStore) -> ClientConfig {
    #[allow(clippy::expect_used, reason = "fails only for a provider without suites of these versions, and this one has them")]
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
