//! Gatehouse puts tenants in front of an app that has none.
//!
//! # Layers
//!
//! A file imports its own folder and lower layers only; `tests/layers` reads every `use crate::…` and fails on an arrow
//! that runs up or across.
//!
//! ```text
//! 0 model, message, clock, shutdown          pure data and time; no I/O in model and message
//! 1 config, observe                          parsed once, into types that cannot be wrong; logs and metrics
//! 2 store                                    the only folder that names the database
//! 3 limits metering billing access dns tls
//!   upstream events                          one noun each; they return decisions as data
//! 4 tenancy                                  puts them together per tenant
//! 5 proxy, admin, jobs                       the request path; the HTTP API; what runs by the clock
//! 6 app, cli                                 builds, starts and drains things
//! 7 main
//! ```
//!
//! # The life of a request
//!
//! [`proxy`] runs on one thread per core, each with its own listeners and its own upstream connections. A request passes
//! accept → admit → resolve → authorize → throttle → reserve → forward → settle; each stage is one file. Up to `reserve`
//! nothing waits: the stages read snapshots ([`tenancy::Directory`]) and add to atomics in a memory-mapped journal
//! ([`metering`]). The control plane ([`admin`], [`jobs`]) has a small runtime of its own; it commits to the
//! [`store`] first and then publishes into the directory.
//!
//! # The life of a custom domain
//!
//! A claim is a record that changes together with its tenant. [`tenancy::Keeper`] looks at it when its time has come ([`jobs`]
//! starts it): is it proved in DNS ([`dns`]), does it lead here, may the authority issue, would that find us. Only then an order
//! is made ([`tls::Issuer`]), tenants in turn. What was issued is stored first and then served; handshakes read memory alone
//! ([`tls::Certificates`]).
//!
//! # The life of a feature flag
//!
//! What decides over a flag is, in this order: the deployment, the tenant's own config, its plan, a roll-out ([`tenancy::flags_of`]). A
//! roll-out is committed and then shown to every tenant, by new facts ([`tenancy::Facts`]); a tenant's first request works out what it
//! has. Flags that are rolled out by user are decided for each request.
//!
//! # The life of a subscription
//!
//! What a tenant pays for, owes and has coming is in its record. [`tenancy::next_duty`] says of a record what is due next;
//! [`tenancy::Biller`] does it when its time has come: a pure function makes of the record, its usage and the rules a change with the
//! invoices and audit rows of it, which is one commit. Where each [`tenancy::Move`] leads from each state is one table. Arithmetic is
//! in [`billing`]. Time is that of the billing clock, which in tests can be moved ([`tenancy::ClockMover`]).
//!
//! # The life of an event
//!
//! Whoever commits a row of the audit log commits the event that it stands for as well, because the store that everybody writes to
//! is an [`events::Outbox`]. [`events::Events`] tells the operator's systems of it until they have it.
//!
//! # What always holds
//!
//! 1. The tenant comes from the authority of the request; nothing else a client sends can override it.
//! 2. admitted = metered + given back + aborted + in flight, through `kill -9` as well ([`metering::verify`]).
//! 3. A quota of N is never exceeded, and a call is refused only while N places are taken. The same of users and projects.
//! 4. The request path makes no store, DNS or control-plane call.
//! 5. A change to one tenant touches only that tenant.
//! 6. Every refusal has a code, an owner, a counter and a log line.
//! 7. Money is integer minor units, rounded once per line; an issued invoice never changes; numbers have no gaps; one period has one
//!    invoice, whoever is killed when.
//! 8. No certificate is ordered without a proof of the domain, and none while DNS says that the order would fail.
//! 9. An event is in the store exactly when what it tells of is, and none is sent to an address that was not checked.
//! 10. What an operator or the gateway changes has its row in the audit log, in the same commit; rows form one chain
//!     ([`store::check_log`]).
//! 11. Nothing of a token is believed before a key that its issuer has published has verified it.

pub mod access;
pub mod admin;
pub mod app;
pub mod billing;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dns;
pub mod events;
pub mod jobs;
pub mod limits;
pub mod message;
pub mod metering;
pub mod model;
pub mod observe;
pub mod proxy;
pub mod shutdown;
pub mod store;
pub mod tenancy;
pub mod tls;
pub mod trust;
pub mod upstream;
