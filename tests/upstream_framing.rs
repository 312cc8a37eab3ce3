//! A response has one reading or is refused; one that was cut short never looks whole; and no octet of it ever gets into the
//! answer to another request (RFC 9112, sections 6 to 9). Each client (HTTP/1.0, HTTP/1.1, HTTP/2) is shown the same.

mod app;
mod cuts;
mod http2;
mod leftovers;
mod table;

use crate::support::seen::{Client, Seen, Speaks};
use app::{App, Script, Then};
