//! Billing through the admin API: the life of a subscription, what is charged when, and that nothing is lost or made.

mod changes;
mod crashes;
mod credits;
mod life;
mod properties;
mod provider;
mod returning;
mod revenue;
mod usage;
