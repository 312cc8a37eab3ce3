//! Tests of the admin API, through its router and over real sockets.

mod auth;
mod lifecycle;
mod shapes;
mod support;
mod writes;
