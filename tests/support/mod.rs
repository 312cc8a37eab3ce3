//! What tests are written with: a gateway (the real binary), its tenants, an app behind it, and a client.

pub mod acme;
pub mod authority;
pub mod client;
pub mod connect;
pub mod connection;
pub mod disk;
pub mod faketime;
pub mod frames;
pub mod gateway;
pub mod identity;
pub mod matrix;
pub mod nginx;
pub mod pairs;
pub mod pattern;
pub mod peers;
pub mod raw;
pub mod seen;
pub mod stall;
pub mod stripe;
pub mod tenant;
pub mod told;
pub mod upstream;
pub mod wire;

pub use client::Answer;
pub use connection::{Connection, VERSIONS};
pub use disk::Disk;
pub use faketime::FakeTime;
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

/// Waits where a UTC day is about to end, so that a test about one day's numbers does not run into the next.
pub async fn within_one_day() {
    within_one_day_for(60).await;
}

/// The same for a test that may take so many seconds.
pub async fn within_one_day_for(seconds: u64) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970").as_secs();
    let left = 86_400 - now % 86_400;
    if left < seconds {
        tokio::time::sleep(Duration::from_secs(left + 1)).await;
    }
}

/// Sends a signal to a process that the test started.
pub fn signal(pid: u32, name: &str) {
    // The shell's own `kill`: not every system has one beside it.
    let sent = std::process::Command::new("bash").args(["-c", &format!("kill -{name} {pid}")]).status().expect("bash runs");
    assert!(sent.success());
}
