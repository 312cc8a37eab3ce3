//! What tests are written with: a gateway (the real binary), its tenants, an app behind it, and a client.

pub mod client;
pub mod connect;
pub mod frames;
pub mod gateway;
pub mod matrix;
pub mod pairs;
pub mod pattern;
pub mod peers;
pub mod raw;
pub mod tenant;
pub mod upstream;
pub mod wire;

pub use client::Answer;
pub use gateway::TestGateway;
pub use raw::{Raw, RawUpstream, within};
pub use tenant::tenant;
pub use upstream::Upstream;

use std::future::Future;
use std::time::Duration;

/// Waits until `probe` has something; fails the test after 20 seconds.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut probe: impl FnMut() -> F) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
