//! The drain: one token that says "stop taking new work", and the tasks that are waited for.

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Held by everything that must end before the process does.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    abort: CancellationToken,
    tracker: TaskTracker,
}

impl Shutdown {
    /// Says that no new work is taken.
    pub fn begin(&self) {
        self.token.cancel();
        self.tracker.close();
    }

    /// Waits for [`begin`](Self::begin).
    pub fn begun(&self) -> WaitForCancellationFuture<'_> {
        self.token.cancelled()
    }

    /// Says that what is still held is cut off.
    pub fn give_up(&self) {
        self.abort.cancel();
    }

    /// Waits until everything held is done, or is to be cut off.
    pub async fn over(&self) {
        tokio::select! {
            () = self.tracker.wait() => {}
            () = self.abort.cancelled() => {}
        }
    }

    /// A guard: [`over`](Self::over) waits until it is dropped.
    pub fn hold(&self) -> TaskTrackerToken {
        self.tracker.token()
    }

    /// How many guards are held.
    pub fn held(&self) -> usize {
        self.tracker.len()
    }
}
