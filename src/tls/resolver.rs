//! Resolver (stub).
use super::Certificates;
use crate::model::Host;
use std::sync::Arc;
/// TLS 1.2 and 1.3, ALPN h2 and http/1.1, tickets; certificates by SNI. A name without a certificate is refused.
pub fn server_config(_certificates: Arc<Certificates>, _base_domain: &Host) -> Arc<rustls::ServerConfig> {
    todo!()
}
