//! Billing through the admin API: the life of a subscription, what is charged when, and that nothing is lost or made.

mod changes;
mod crashes;
mod credits;
mod life;
mod properties;
pub(in crate::admin::tests) mod provider;
mod returning;
mod revenue;
mod usage;
