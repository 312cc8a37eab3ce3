//! Custom domains: each is looked at when its time has come, and certificates are ordered one after the other, tenants in turn.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;

use super::{Jobs, every};
use crate::clock::{Clock, SystemClock};
use crate::model::{Host, TenantId};
use crate::tenancy::{FairQueue, Keeper};

const BEAT: Duration = Duration::from_millis(200);
/// Looks at the same time: most of the time they wait for name servers.
const LOOKS_AT_ONCE: usize = 32;
/// Of one tenant, whose name servers may be slow.
const LOOKS_OF_ONE: usize = 8;
/// Taken off the agenda at once.
const BATCH: usize = 1_000;

pub(super) async fn run(jobs: Jobs) {
    if !jobs.keeper.is_on() {
        return;
    }
    let mut beat = every(BEAT);
    let at_once = jobs.keeper.orders_at_once();
    let mut waiting: FairQueue<TenantId, Host> = FairQueue::default();
    let (mut looks, mut orders) = (JoinSet::new(), JoinSet::new());
    loop {
        beat.tick().await;
        while let Some(ended) = looks.try_join_next() {
            ended.iter().for_each(|name| waiting.done(name));
        }
        while orders.try_join_next().is_some() {}
        for (tenant, name) in jobs.directory.take_due_domains(SystemClock.now(), BATCH) {
            waiting.push(tenant, name);
        }
        while looks.len() < LOOKS_AT_ONCE
            && let Some(name) = waiting.pop(LOOKS_OF_ONE)
        {
            looks.spawn(look(Arc::clone(&jobs.keeper), name));
        }
        while orders.len() < at_once
            && let Some(name) = jobs.keeper.next_order()
        {
            orders.spawn(order(Arc::clone(&jobs.keeper), name));
        }
    }
}

async fn look(keeper: Arc<Keeper>, name: Host) -> Host {
    match AssertUnwindSafe(keeper.check(&name)).catch_unwind().await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::warn!(domain = %name, %error, "a custom domain cannot be looked at");
            keeper.put_off(&name);
        }
        Err(_) => keeper.put_off(&name),
    }
    name
}

async fn order(keeper: Arc<Keeper>, name: Host) {
    let done = Done(&keeper, &name);
    if let Err(error) = keeper.order(&name).await {
        tracing::warn!(domain = %name, %error, "a certificate cannot be ordered");
    }
    drop(done);
}

/// However it ends, the name can be ordered again.
struct Done<'a>(&'a Keeper, &'a Host);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.order_done(self.1);
    }
}
