//! gRPC passes through: every kind of call of a library that nobody here wrote has the same outcome with the gateway between
//! its client and its server as without.

mod ends;
mod outcomes;
mod peer;
mod refused;
mod silence;
