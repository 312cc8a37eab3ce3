//! TLS to clients: certificates by SNI, replaced without a restart.

mod acme;
mod certificates;
mod challenges;
mod dev_ca;
mod dev_issuer;
mod resolver;
#[cfg(test)]
mod tests;
mod vault;

pub use acme::{Issued, Issuer, Method, OrderError, OrderFault, OrderRequest, Probe, ProbeError, RenewalWindow, RootsError, Zone};
pub use certificates::{CertificateError, Certificates, IssuedRecord, Source, Standing};
pub use challenges::{ACME_PROTOCOL, Challenges, Offered};
pub use dev_ca::{DevCaError, DevCertificates, dev_issuer, write_dev_certificates};
pub use dev_issuer::DevIssuer;
pub use resolver::server_config;
pub use vault::{Vault, VaultError, WrongKey};
