//! How clients are spoken to: versions, protocols, session tickets, and the certificate for the name a client asks for.
//!
//! Resumption and names (what rustls 0.23 does, and the tests hold on to): a ticket carries the name of the handshake that
//! made it, and a session is resumed only where the new ClientHello asks for exactly that name (RFC 6066, section 3); with
//! another name, or none, the handshake is a full one. The certificate is looked up before a ticket is looked at, so a name
//! that is no longer served is refused with a ticket as well. The name that the connection reports is always the one of its
//! own ClientHello. So no resumed connection poses as one of another tenant; that Host belongs to the name is checked on
//! every request all the same.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};

use super::Certificates;
use super::challenges::{ACME_PROTOCOL, Challenges};
use crate::model::Host;

/// TLS 1.2 and 1.3, ALPN h2 and http/1.1, tickets; certificates by SNI. A name without a certificate is refused.
///
/// One is made for the whole process: sessions are resumed on any worker, since all share the ticket keys, which live 6 h
/// and are never written down. Connections take `set_buffer_limit` themselves; records stay at 16 KiB
/// (`max_fragment_size`), as smaller ones cost more for large bodies.
///
/// With `challenges`, who asks for `acme-tls/1` and nothing else is shown what an authority looks for (RFC 8737).
pub fn server_config(
    certificates: Arc<Certificates>,
    challenges: Option<Arc<Challenges>>,
    base_domain: &Host,
) -> Arc<rustls::ServerConfig> {
    for name in [base_domain.to_string(), format!("*.{base_domain}")] {
        if !certificates.default_covers(&name) {
            tracing::warn!("the certificate of `tls.cert` does not cover `{name}`; clients that ask for such a name are refused");
        }
    }
    #[allow(clippy::expect_used, reason = "fails only for a provider without suites of these versions, and this one has them")]
    let builder = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("aws-lc-rs speaks TLS 1.2 and 1.3");
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(BySni { certificates, challenges: challenges.clone() }));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if challenges.is_some() {
        config.alpn_protocols.push(ACME_PROTOCOL.to_vec());
    }
    config.max_early_data_size = 0;
    match aws_lc_rs::Ticketer::new() {
        Ok(ticketer) => {
            config.ticketer = ticketer;
            config.send_tls13_tickets = 1;
        }
        Err(error) => {
            tracing::error!(%error, "no keys for session tickets can be made; every TLS handshake is a full one");
            config.send_tls13_tickets = 0;
        }
    }
    // Tickets are enough; the cache by session id would be a lock that all workers share.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Arc::new(config)
}

#[derive(Debug)]
struct BySni {
    certificates: Arc<Certificates>,
    challenges: Option<Arc<Challenges>>,
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // In lower case already; an address instead of a name counts as no name.
        let name = hello.server_name().map(|name| name.strip_suffix('.').unwrap_or(name));
        if let (Some(challenges), Some(name)) = (&self.challenges, name)
            && is_of_authority(&hello)
        {
            return challenges.certificate(name);
        }
        self.certificates.find(name)
    }
}

/// An authority offers this protocol alone (RFC 8737, section 3).
fn is_of_authority(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut offered| offered.next() == Some(ACME_PROTOCOL) && offered.next().is_none())
}
