//! TLS to clients: certificates by SNI, replaced without a restart.

mod certificates;
mod dev_ca;
mod resolver;
#[cfg(test)]
mod tests;

pub use certificates::{CertificateError, Certificates};
pub use dev_ca::{DevCaError, DevCertificates, write_dev_certificates};
pub use resolver::server_config;
