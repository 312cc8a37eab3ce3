//! Tenancy: puts limits, metering and upstreams together per tenant, and moves tenants through their life.

mod change;
mod directory;
mod documents;
mod facts;
mod features;
mod idempotency;
mod keys;
mod lifecycle;
mod load;
mod provisioning;
mod rules;
mod runtime;
mod tenants;
#[cfg(test)]
mod tests;
mod usage;
mod walk;
mod window;

pub use crate::config::did_you_mean;
pub use change::{Cause, Change, FieldError, KeyChange, TenancyError, Versioned};
pub use directory::Directory;
pub use documents::{known_tenant_document, tenant_document, usage_document};
pub use facts::{DirectorySettings, Facts, Labels, PlanMissing, Profile, Proof};
pub use features::enabled_features;
pub use idempotency::{KeptAnswer, attach_answer, kept_answer, purge_answers};
pub use keys::{NewKey, issue_key, revoke_key};
pub use lifecycle::{Move, move_tenant};
pub use load::{LoadError, load};
pub use provisioning::{NewTenant, TenantPatch, change_plan, create_tenant, set_domain, set_feature, update_tenant};
pub use runtime::TenantRuntime;
pub use tenants::{Filter, Page, Tenants};
pub use usage::{DayUsage, UsageReader};
pub use window::DayWindow;
