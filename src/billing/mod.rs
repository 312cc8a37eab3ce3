//! Billing as arithmetic: periods, prices, prorations, taxes and what an invoice is made of. Pure functions; who is billed when is
//! decided by `tenancy`.

pub mod calendar;
pub mod document;
pub mod explain;
pub mod invoicing;
pub mod items;
pub mod payments;
pub mod proration;
pub mod quote;
pub mod rating;
pub mod revenue;
pub mod tax;
pub mod words;
