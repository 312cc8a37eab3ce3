//! Pure data: what a tenant, a plan, a day and a price are. No I/O, no async, no locks.

pub mod custom_domain;
pub mod domain;
pub mod event;
pub mod gauge;
pub mod hex;
pub mod id;
pub mod invoice;
pub mod key;
pub mod money;
pub mod origin;
pub mod party;
pub mod period;
pub mod plain;
pub mod plan;
pub mod running;
pub mod subscription;
pub mod tenant;
pub mod usage;

pub use custom_domain::{Actor, CustomDomain, DomainStatus, Finding, Reason};
pub use domain::{Host, Slug};
pub use event::{EventType, EventTypeError};
pub use gauge::{Gauge, Levels};
pub use hex::hex;
pub use id::{AuditId, CreditNoteId, EventId, InvoiceId, KeyId, TenantId};
pub use invoice::{Inputs, Invoice, InvoiceStatus, Issued, Line, LineKind, Standing};
pub use key::{ApiKey, KeyHash};
pub use money::Money;
pub use origin::{Origin, Scheme};
pub use party::Party;
pub use period::{Day, Millis, Month};
pub use plain::plain;
pub use plan::{AddOn, BillingCycle, Limits, Overage, Plan, Rate, Tier};
pub use running::{Over, Running};
pub use subscription::{Overrides, Owed, Span, Subscription, Terms};
pub use tenant::{Branding, Status, Tenant, TenantConfig};
pub use usage::{Totals, Usage};
