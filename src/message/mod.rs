//! Messages: the fields of a head as both sides of the request path use them, whatever version of HTTP they came by.

mod fields;
mod name;
mod spare;

pub use fields::{Field, Fields};
pub use name::Name;
