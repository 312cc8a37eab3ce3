//! Tenancy: puts limits, metering and upstreams together per tenant, and moves tenants through their life.

mod directory;
mod lifecycle;
mod provisioning;
mod tenants;
mod usage;

pub use directory::{Directory, KeyHolder};
pub use tenants::{Change, TenancyError, Tenants, Versioned};
pub use usage::{DayUsage, UsageReader};
