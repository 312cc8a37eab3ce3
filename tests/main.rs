//! The guarantees of the whole program: each file one of them, through a real process, real sockets and real TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod admin_access;
mod audit;
mod bad_input;
mod demo;
mod drain;
mod extended_connect;
mod framing;
mod framing_h2;
mod full_disk;
mod half_closed;
mod handshakes;
mod hygiene;
mod interim;
mod leaving;
mod lifecycle;
mod limits;
mod limits_of_heads;
mod metering;
mod patience;
mod prior_knowledge;
mod proxy_protocol;
mod quick_start;
mod real_app;
mod redirects;
mod refusals;
mod resolution;
mod route_policy;
mod scale;
mod sni;
mod streaming;
mod support;
mod tenant_api;
mod upstream_framing;
mod upstreams;
mod websocket;
