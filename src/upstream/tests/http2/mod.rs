//! Tests of HTTP/2 upstreams: the peers are scripts on the h2 crate's server.

mod bodies;
mod connections;
mod heads;
mod pressure;
mod retries;
mod support;
mod tls;
mod websocket;
