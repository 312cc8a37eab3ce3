//! Messages: the fields of a head as both sides of the request path use them, whatever version of HTTP they came by.

mod fields;
mod head;
mod lines;
mod name;
mod parsed;
mod spare;

pub use fields::{Field, Fields};
pub use head::RequestHead;
pub use lines::{write_chunk_size, write_field};
pub use name::{Name, NameSet};
pub use parsed::Parsed;
