//! Logging (stub).
use crate::config::Log;
/// Sets up the process's log on stderr; a second call does nothing.
pub fn init_logging(_log: &Log) {}
