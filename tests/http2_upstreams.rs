//! Apps that speak HTTP/2 (`h2c://`, `h2://`): what a client of either version sees of them, and what they see of it.

mod app;
mod connections;
mod endings;
mod messages;
mod programs;
mod tunnels;
