//! Upstreams that fail, and what the client, the meter and the next request see of it.

mod failing;
mod keep_alive;
mod retries;
mod secure;
mod secure_endings;
mod secure_peers;
mod several;
