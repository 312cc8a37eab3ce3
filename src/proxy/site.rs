//! What a host leads to, and how a connection remembers it: the common request does no look-up.

use std::rc::Rc;
use std::sync::Arc;

use crate::tenancy::TenantRuntime;

/// What a host leads to.
#[derive(Clone)]
pub enum Site {
    /// One tenant's own host.
    Tenant(Arc<TenantRuntime>),
    /// A host on which requests name their tenant.
    Api,
}

/// The last host of a connection, resolved; good while the directory's generation is the same.
pub struct Remembered {
    /// The Host field as it came.
    pub field: Box<[u8]>,
    /// The directory's generation at that time.
    pub generation: u64,
    /// The host, normalised.
    pub host: Rc<str>,
    /// What it leads to.
    pub site: Site,
}
