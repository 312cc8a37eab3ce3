//! Custom domains: who claims which, what proves it, and which of them lead to their tenant.
//!
//! A claim is a record of the store that changes together with its tenant ([`claims`]), so that all claims of a tenant are
//! known to whoever changes it. What is stored is then shown to the data plane ([`records`], [`shown`]). The [`Keeper`] looks at
//! domains and orders their certificates.

mod announce;
mod claims;
mod keeper;
mod look;
mod needed;
mod ordering;
mod queue;
mod records;
pub(super) mod schedule;
mod shown;

pub use claims::{add_domain, remove_domain, take_over};
pub(super) use claims::{claim, release};
pub use keeper::{Keeper, Own};
pub use needed::{NeededRecord, next_step};
pub use queue::FairQueue;
pub use records::{DomainFilter, Domains};
pub(super) use records::{load_domains, show};
pub(super) use shown::Shown;
