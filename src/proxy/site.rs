//! What a host leads to, and how a connection remembers it: the common request does no look-up.

use std::rc::Rc;
use std::sync::Arc;

use crate::message::Fields;
use crate::tenancy::{Facts, TenantRuntime};

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
    /// `max-age` of Strict-Transport-Security, where the host says that.
    pub hsts: Option<u32>,
    /// A request has said it before.
    pub is_again: bool,
    /// What the app was told last of the tenant and the client under this host.
    pub introduction: Option<Introduction>,
}

/// What the app is told of the tenant and of the client, the same for all requests of a connection that nobody else speaks through.
pub struct Introduction {
    /// Of whom it speaks.
    pub facts: Arc<Facts>,
    /// What it says.
    pub fields: Fields,
}
