//! Billing: what tenants owe, and how they are told.

pub mod document;
