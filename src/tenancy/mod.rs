//! Tenancy: puts limits, metering and upstreams together per tenant, and moves tenants through their life.

mod alerts;
mod base_certificate;
mod change;
mod context_keys;
mod directory;
mod documents;
mod domains;
mod facts;
mod features;
mod forget;
mod gauges;
mod idempotency;
mod issuers;
mod key_sets;
mod keys;
mod lifecycle;
mod live_key;
mod load;
mod operators;
mod plans;
mod provisioning;
mod reporting;
mod rules;
mod runtime;
mod states;
mod subscriptions;
mod tenants;
mod test_clock;
#[cfg(test)]
mod tests;
mod told;
mod usage;
mod walk;
mod window;

pub use crate::config::did_you_mean;
pub use alerts::Alerts;
pub use base_certificate::BaseCertificate;
pub use change::{Cause, Change, FieldError, KeyChange, TenancyError, Versioned};
pub use context_keys::context_keys;
pub use directory::Directory;
pub use documents::{known_tenant_document, tenant_document, usage_document};
pub use domains::{DomainFilter, Domains, FairQueue, Keeper, NeededRecord, Own, add_domain, next_step, remove_domain, take_over};
pub use facts::{DirectorySettings, Facts, Labels, PlanMissing, Profile, Proof, Serve};
pub use features::{FlagState, NewRollout, Rollouts, flags_of, remove_rollout, set_rollout};
pub use forget::forget_old;
pub use gauges::{At, GaugeFull, Gauges, HeldPlace, Shift};
pub use idempotency::{KeptAnswer, attach_answer, kept_answer, purge_answers};
pub use issuers::set_issuers;
pub use key_sets::{keep_key_set, restore_key_sets};
pub use keys::{LONGEST_OVERLAP, NewKey, issue_key, revoke_key, rotate_key, write_key_uses};
pub use lifecycle::{Order, move_tenant};
pub use live_key::LiveKey;
pub use load::{LoadError, load};
pub use operators::{Identity, NewOperator, Operators, RevokeError};
pub use plans::{Added, CatalogueError, Listed, Plans, Source, add_add_on, add_plan, withdraw_add_on, withdraw_plan};
pub use provisioning::{NewTenant, TenantPatch, create_tenant, set_feature, update_tenant};
pub use reporting::{Accepted, Claim, ReportError, Reporter};
pub use runtime::{Octets, TenantRuntime};
pub use states::Move;
pub use subscriptions::{
    Account, Accounts, Biller, Bills, Credit, Desk, Hook, Message, Metered, Movement, PayerError, Planned, Received, Wanted, When, Work,
    collect_invoice, credit_invoice, exceeded, give_up_invoice, next_duty, pay_from_credit, pay_invoice, plan_change, upcoming_invoice,
    void_invoice,
};
pub use tenants::{Filter, Page, Tenants};
pub use test_clock::{ClockError, ClockMover, stored_clock};
pub use usage::{DayUsage, UsageReader};
pub use window::DayWindow;
