//! Target (stub).
use crate::model::Origin;
use std::net::SocketAddr;
/// Why an origin cannot be a target.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TargetError(pub(super) String);
/// One origin with the addresses that the control plane has resolved.
pub struct Target;
impl Target {
    /// The origin.
    pub fn origin(&self) -> &Origin {
        todo!()
    }
    /// Addresses as last resolved.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        todo!()
    }
}
