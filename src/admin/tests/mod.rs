//! Tests of the admin API, through its router and over real sockets.

mod audit;
mod auth;
mod billing;
mod domains;
mod features;
mod lifecycle;
mod operators;
mod plans;
mod readiness;
mod shapes;
mod support;
mod writes;
