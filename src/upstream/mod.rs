//! Upstreams: addresses published by the control plane, connections pooled by each worker.

mod body;
mod connection;
mod pool;
mod resolve;
mod target;
mod upgraded;

pub use body::{BodyError, UpstreamBody};
pub use connection::{Progress, SendError};
pub use pool::{Pool, PoolSettings};
pub use resolve::Resolver;
pub use target::{Target, TargetError};
pub use upgraded::Upgraded;
