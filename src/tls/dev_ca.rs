//! Development certificates (stub).
use crate::model::Host;
use std::path::{Path, PathBuf};
/// Failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DevCaError(String);
/// Files that were written.
pub struct DevCertificates {
    /// The root to trust.
    pub ca: PathBuf,
    /// Chain.
    pub cert: PathBuf,
    /// Key.
    pub key: PathBuf,
}
/// Writes a root, and a certificate for the base domain and its wildcard signed by it, into `dir`.
pub fn write_dev_certificates(_dir: &Path, _base_domain: &Host) -> Result<DevCertificates, DevCaError> {
    todo!()
}
