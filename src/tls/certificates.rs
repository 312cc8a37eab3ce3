//! Certificates (stub).
use crate::model::Host;
use std::path::Path;
/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CertificateError(String);
/// All certificates.
pub struct Certificates;
impl Certificates {
    /// Loads the default pair (needed) and every pair of `dir` (a bad pair there is logged and left out).
    pub fn load(_cert: &Path, _key: &Path, _dir: Option<&Path>) -> Result<Self, CertificateError> {
        todo!()
    }
    /// Looks for changed, new and removed files; a bad file keeps the old certificate. True where something changed.
    pub fn refresh(&self) -> bool {
        todo!()
    }
    /// True where a valid pair in `dir` covers this name: what proves a custom domain.
    pub fn proves(&self, _domain: &Host) -> bool {
        todo!()
    }
}
