//! Resolver (stub).
use super::{Target, TargetError};
use crate::model::Origin;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
/// Shared by the control plane: one target for each origin in use.
pub struct Resolver(Vec<SocketAddr>);
impl Resolver {
    /// `forbidden`: the gateway's own listeners. `ca_file`: extra roots for https upstreams.
    pub fn new(forbidden: Vec<SocketAddr>, _ca_file: Option<&Path>) -> Result<Self, TargetError> {
        Ok(Self(forbidden))
    }
    /// The target of an origin, the same one for equal origins; unresolved names are resolved soon. Does no I/O.
    pub fn target(&self, _origin: &Origin) -> Arc<Target> {
        todo!()
    }
    /// Refuses own listeners and forbidden addresses (names are resolved; a name that does not resolve is fine).
    pub async fn check(&self, origin: &Origin) -> Result<(), TargetError> {
        let own = |at: &SocketAddr| Some(at.ip()) == origin.address() && at.port() == origin.port;
        if self.0.iter().any(own) { Err(TargetError(format!("{origin} is the gateway itself"))) } else { Ok(()) }
    }
    /// Resolves what is due (every 10 s, new ones at once); keeps the old addresses where it fails. Called by a job.
    pub async fn refresh(&self) {
        todo!()
    }
}
