//! The control plane's service (stub, to be replaced).
use crate::model::Tenant;
use crate::store::{Tx, Version};
/// A value with the version it was read at.
#[derive(Debug, Clone)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Its version.
    pub version: Version,
}
/// A move that is not committed yet.
pub struct Change {
    /// As it will be.
    pub tenant: Tenant,
    /// What is committed.
    pub tx: Tx,
}
/// Why a tenant did not change.
#[derive(Debug, thiserror::Error)]
pub enum TenancyError {}
/// Tenants as the control plane works on them.
pub struct Tenants;
