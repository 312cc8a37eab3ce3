//! Time: the only file that asks the machine what time it is.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::Millis;

/// Tells billing and usage windows what time it is. Time-outs use [`instant`] instead, which no test moves.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the epoch.
    fn now(&self) -> Millis;
}

/// A clock that everyone can hold.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        // A clock before 1970 is a broken machine; it is read as 1970.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

/// No moment: the machine's clock is followed.
const FOLLOWS: i64 = i64::MIN;

impl TestClock {
    /// Stands at `start`.
    pub const fn at(start: Millis) -> Self {
        Self(AtomicI64::new(start.0))
    }

    /// Goes with the machine's clock until it is moved for the first time.
    pub const fn following() -> Self {
        Self(AtomicI64::new(FOLLOWS))
    }

    /// Moves to `to`.
    pub fn set(&self, to: Millis) {
        self.0.store(to.0, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Millis {
        match self.0.load(Ordering::SeqCst) {
            FOLLOWS => SystemClock.now(),
            moment => Millis(moment),
        }
    }
}

/// The machine's time as a field value says it (RFC 9110, section 5.6.7).
pub fn http_date() -> String {
    let now = jiff::Timestamp::from_millisecond(SystemClock.now().0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap_or_default()
}

thread_local! {
    /// The second that it is made for, and what [`http_date`] said then.
    static DATE: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// The same for whoever says it often: it is made once a second on each thread.
pub fn with_http_date<T>(say: impl FnOnce(&str) -> T) -> T {
    let second = SystemClock.now().0.div_euclid(1000);
    DATE.with_borrow_mut(|(made_for, date)| {
        if *made_for != second {
            (*made_for, *date) = (second, http_date());
        }
        say(date)
    })
}

/// Monotonic time, for time-outs and durations.
pub fn instant() -> Instant {
    Instant::now()
}
