//! Tests of the admin API, through its router and over real sockets.

mod auth;
mod billing;
mod domains;
mod features;
mod lifecycle;
mod plans;
mod readiness;
mod shapes;
mod support;
mod writes;
