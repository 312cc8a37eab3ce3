//! The test clock: billing time that somebody moves. Everything that becomes due on the way is done when its moment has come, one
//! moment after the other, and usage windows go along.

use std::sync::Arc;

use serde_json::json;

use super::change::{decode, encode};
use super::{Biller, Cause, TenancyError};
use crate::clock::{Clock, TestClock};
use crate::metering::{Journal, fold_reports};
use crate::model::Millis;
use crate::store::{AuditRow, Key, Store, Table, Tx};

/// The furthest that it moves at once: ten years.
const FURTHEST_DAYS: i64 = 3653;
/// Moments one after the other in which the payment provider does not answer; it is asked again a minute later, which would be without
/// end where it is gone.
const SILENT_MOMENTS: usize = 5;

/// Moves billing time.
pub struct ClockMover {
    clock: Arc<TestClock>,
    biller: Arc<Biller>,
    journal: Arc<Journal>,
    /// Who moves it.
    turn: tokio::sync::Mutex<()>,
}

/// Why it is not moved.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// Time does not go back.
    #[error("billing time is {} ({}) and does not go back; name a later moment", .now.0, .now.day())]
    Backwards {
        /// What it is.
        now: Millis,
    },
    /// More than ten years at once.
    #[error("at most ten years at once")]
    TooFar,
    /// Something that was due could not be done; time stands at its moment.
    #[error("something that was due could not be done, and billing time stands still before it; the log says what")]
    Stuck,
    /// The payment provider is gone; time stands at the last moment at which it was asked.
    #[error("the payment provider has not answered {SILENT_MOMENTS} times, and billing time stands still; move it again once it answers")]
    Silent,
    /// The store failed.
    #[error(transparent)]
    Tenancy(#[from] TenancyError),
    /// The journal failed.
    #[error("the usage journal does not follow: {0}")]
    Journal(String),
}

/// The clock as it was moved to last, where it was.
pub async fn stored_clock(store: &dyn Store) -> Result<Option<Millis>, TenancyError> {
    let key = key();
    store.get(&key).await?.map(|record| decode(&key, &record.value)).transpose()
}

impl ClockMover {
    /// Of this clock, by which `biller` and `journal` work.
    pub fn new(clock: Arc<TestClock>, biller: Arc<Biller>, journal: Arc<Journal>) -> Self {
        Self { clock, biller, journal, turn: tokio::sync::Mutex::default() }
    }

    /// Billing time.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Moves to `to`, doing everything that is due until then; how many steps of billing that were.
    pub async fn move_to(&self, to: impl FnOnce(Millis) -> Millis, cause: &Cause) -> Result<(Millis, usize), ClockError> {
        let _turn = self.turn.lock().await;
        let begun = self.clock.now();
        let to = to(begun);
        if to < begun {
            return Err(ClockError::Backwards { now: begun });
        }
        if to > begun.plus_days(FURTHEST_DAYS) {
            return Err(ClockError::TooFar);
        }
        let row = cause.audit("clock.moved", None, Some(json!({"now": begun})), Some(json!({"now": to})));
        self.stand_at(begun, vec![row]).await?;
        self.begin_month(begun).await?;
        // What the job has begun, as after a start, is on no agenda until it is done.
        let mut steps = self.run(begun).await?;
        let mut silent = 0;
        loop {
            let now = self.clock.now();
            // What is stored when a month begins counts for it, also where nothing is due then.
            let month = now.day().month().end().start();
            let due = self.biller.tenants().directory.accounts().next_due();
            let at = due.map_or(month, |due| due.min(month)).max(now);
            if at > to {
                break;
            }
            self.stand_at(at, Vec::new()).await?;
            let heard = self.biller.heard.so_far();
            steps += self.run(at).await?;
            if at.day().month() != now.day().month() {
                // What is stored counts by the plan with which the month begins.
                self.begin_month(at).await?;
            }
            let (answers, silences) = self.biller.heard.so_far();
            silent = match (answers > heard.0, silences > heard.1) {
                (true, _) => 0,
                (false, true) => silent + 1,
                (false, false) => silent,
            };
            if silent == SILENT_MOMENTS {
                return Err(ClockError::Silent);
            }
        }
        self.stand_at(to, Vec::new()).await?;
        Ok((to, steps))
    }

    /// Does everything that is due by `at`; how many steps that were.
    async fn run(&self, at: Millis) -> Result<usize, ClockError> {
        match self.biller.run(at, None).await {
            (steps, 0) => Ok(steps),
            _ => Err(ClockError::Stuck),
        }
    }

    /// Stored first: time never goes back, whatever happens.
    async fn stand_at(&self, at: Millis, audit: Vec<AuditRow>) -> Result<(), ClockError> {
        let store = &self.biller.tenants().store;
        let tx = Tx { puts: vec![(key(), encode(&at)?)], audit, ..Tx::default() };
        store.commit(tx).await.map_err(TenancyError::from)?;
        let before = self.clock.now().day();
        self.clock.set(at);
        if at.day() != before {
            let (journal, day) = (Arc::clone(&self.journal), at.day());
            let kept = tokio::task::spawn_blocking(move || journal.maintain(day)).await;
            kept.map_err(|panic| ClockError::Journal(panic.to_string()))?.map_err(|error| ClockError::Journal(error.to_string()))?;
            self.biller.tenants().directory.roll(day);
        }
        Ok(())
    }

    /// Does what is done each second otherwise.
    async fn begin_month(&self, at: Millis) -> Result<(), ClockError> {
        let tenants = self.biller.tenants();
        tenants.directory.begin_month(&self.journal, at);
        Ok(fold_reports(&self.journal, &*tenants.store).await.map_err(TenancyError::from)?)
    }
}

fn key() -> Key {
    Key::new(Table::Settings, "clock")
}
