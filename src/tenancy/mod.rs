//! Tenancy: puts limits, metering and upstreams together per tenant, and moves tenants through their life.

mod directory;
mod facts;
mod features;
mod lifecycle;
mod provisioning;
mod runtime;
mod tenants;
mod usage;
mod window;

pub use directory::{Directory, DirectorySettings, KeyHolder};
pub use facts::{PlanMissing, Proof};
pub use runtime::{Facts, TenantRuntime};
pub use tenants::{Change, TenancyError, Tenants, Versioned};
pub use usage::{DayUsage, UsageReader};
pub use window::DayWindow;
