//! Billing: once a second what has become due is done. By the clock of billing, which in tests stands still.

use super::{Jobs, SECOND, every, turn};

pub(super) async fn run(jobs: Jobs) {
    let mut beat = every(SECOND);
    loop {
        beat.tick().await;
        let now = jobs.clock.now();
        let work = async {
            match jobs.biller.run(now, Some(SECOND)).await {
                (_, 0) => Ok(()),
                (_, failed) => Err(format!("for {failed} tenants; each is told above")),
            }
        };
        turn(&jobs, &jobs.duties.billing, work, "what is due in billing cannot be done; it is tried again").await;
    }
}
