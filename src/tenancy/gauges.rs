//! A tenant's gauges as the data plane sees them: levels that move with every report, places that are held while an app is
//! asked, and the users that were active in the month.
//!
//! One lock orders what happens to a tenant, and a report is in the journal before it is let go: so the log says the same as
//! the levels here, in the same order. It is held for a few stores to memory, never across a wait.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::metering::{Journal, Report, ReportKey, SlotUnavailable, UserHash, What};
use crate::model::{Gauge, Levels, Millis, Month, TenantId};

/// The gauges of one tenant.
pub struct Gauges {
    tenant: TenantId,
    state: Mutex<State>,
}

struct State {
    levels: Levels,
    /// Places held by requests that the app has not answered yet.
    held: Levels,
    month: Month,
    /// The highest levels of the month, those at its beginning included.
    peak: Levels,
    /// The same of the month before.
    last_peak: Option<(Month, Levels)>,
    users: HashSet<UserHash>,
    /// The most octets of the month that lay beyond the limit of a plan that bills them.
    storage_over: u64,
    /// The journal knows of it.
    is_told: bool,
    /// What the journal had no room for.
    late: Late,
}

#[derive(Default)]
struct Late {
    gauges: Vec<Gauge>,
    users: Vec<UserHash>,
}

impl Late {
    /// Once is enough: its level is reported when there is room.
    fn add(&mut self, gauge: Gauge) {
        if !self.gauges.contains(&gauge) {
            self.gauges.push(gauge);
        }
    }
}

/// Where a tenant's gauges begin.
pub struct Start {
    /// As they stand.
    pub levels: Levels,
    /// The highest of the month.
    pub peak: Levels,
    /// The most octets of the month that a plan billed.
    pub storage_over: u64,
    /// The newest month.
    pub month: Month,
    /// Who was active in it.
    pub users: HashSet<UserHash>,
}

/// The circumstances of a report.
#[derive(Debug, Clone, Copy)]
pub struct At {
    /// When.
    pub now: Millis,
    /// Octets that the tenant's plan includes, where it bills more.
    pub included: Option<u64>,
}

/// How a level changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// By so much; never below zero.
    By(i64),
    /// To this.
    To(u64),
}

/// A limit that leaves no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GaugeFull {
    /// Which.
    pub gauge: Gauge,
    /// What the plan allows.
    pub limit: u64,
    /// What is taken, places that are held included.
    pub used: u64,
}

/// A place of a gauge that is held until the app has answered; given back when it is dropped.
pub struct HeldPlace {
    gauges: Arc<Gauges>,
    gauge: Gauge,
    is_held: bool,
}

impl Gauges {
    /// Where a tenant stands in `month`.
    pub fn starting(tenant: TenantId, start: Start) -> Self {
        let Start { levels, peak, storage_over, month, users } = start;
        let (held, late) = (Levels::default(), Late::default());
        let state = State { levels, held, month, peak, last_peak: None, users, storage_over, is_told: false, late };
        Self { tenant, state: Mutex::new(state) }
    }

    /// The levels now, without places that are held.
    pub fn levels(&self) -> Levels {
        self.state().levels
    }

    /// The highest levels of `month` and the most octets of it that a plan billed, while that is the newest month or later. In one
    /// without a report, what is stored is billed by a plan that includes `included`.
    pub fn peak_in(&self, month: Month, included: Option<u64>) -> Option<(Levels, u64)> {
        let state = self.state();
        match state.month.cmp(&month) {
            std::cmp::Ordering::Equal => Some((state.peak, state.storage_over)),
            std::cmp::Ordering::Less => Some((state.levels, beyond(state.levels.storage, included))),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// The highest levels of the newest month, of the one before where that has been seen, and of `month` where nothing was
    /// reported in it yet.
    pub fn peaks(&self, month: Month) -> [Option<(Month, Levels)>; 3] {
        let state = self.state();
        [state.last_peak, Some((state.month, state.peak)), (month > state.month).then_some((month, state.levels))]
    }

    /// Distinct users that were active in `month`, while that is the newest month; `None` for others.
    pub fn active_users(&self, month: Month) -> Option<u64> {
        let state = self.state();
        match state.month.cmp(&month) {
            std::cmp::Ordering::Equal => Some(state.users.len() as u64),
            // Nobody was reported in it yet.
            std::cmp::Ordering::Less => Some(0),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// Moves a gauge and reports it; the level after it. With a key it fails where the journal has no room, and nothing moves;
    /// without one it moves, and is reported as soon as there is room.
    pub fn report(&self, journal: &Journal, shift: (Gauge, Shift), at: At, key: Option<ReportKey>) -> Result<u64, SlotUnavailable> {
        self.state().shift(self.tenant, journal, shift, at, key)
    }

    /// A user was active. As for [`report`](Self::report).
    pub fn report_user(&self, journal: &Journal, user: UserHash, at: At, key: Option<ReportKey>) -> Result<(), SlotUnavailable> {
        let mut state = self.state();
        state.reach(self.tenant, journal, at);
        let is_new = !state.users.contains(&user);
        if !is_new && key.is_none() {
            return Ok(());
        }
        let what = if is_new { What::ActiveUser(user) } else { What::KnownUser };
        let report = state.report(self.tenant, what, at, key);
        if let Err(error) = journal.report(&report) {
            if key.is_some() {
                return Err(error);
            }
            state.late.users.push(user);
        }
        state.users.insert(user);
        Ok(())
    }

    /// The plan includes another amount from now on: what is stored counts by it at once.
    pub fn look(&self, at: At) {
        let mut state = self.state();
        // A month that nobody has seen begin counts by the plan of whoever sees it first.
        if at.now.day().month() <= state.month {
            state.look(at.included);
        }
    }

    /// What is stored beyond what the plan includes, though nobody reports it (a month has begun, the plan is another one), is in the
    /// journal from now on, so that it is billed whatever comes after. What the journal knows is not told again.
    pub fn tell_stored(&self, journal: &Journal, at: At) {
        let mut state = self.state();
        state.reach(self.tenant, journal, at);
        state.tell(self.tenant, journal, at);
    }

    /// Reports what the journal had no room for; true where nothing is left of it.
    pub fn report_late(&self, journal: &Journal, at: At) -> bool {
        let mut state = self.state();
        let late = std::mem::take(&mut state.late);
        for gauge in late.gauges {
            let what = What::Level(gauge, state.levels.get(gauge), state.storage_over);
            let report = state.report(self.tenant, what, at, None);
            if journal.report(&report).is_err() {
                state.late.add(gauge);
            }
        }
        for user in late.users {
            let report = state.report(self.tenant, What::ActiveUser(user), at, None);
            if journal.report(&report).is_err() {
                state.late.users.push(user);
            }
        }
        state.late.gauges.is_empty() && state.late.users.is_empty()
    }

    /// Holds one place of `limit` until the app has answered, if there is one: asked and taken in one step.
    pub fn hold(self: &Arc<Self>, gauge: Gauge, limit: Option<u64>) -> Result<HeldPlace, GaugeFull> {
        let mut state = self.state();
        let used = state.levels.get(gauge).saturating_add(state.held.get(gauge));
        match limit {
            Some(limit) if used >= limit => return Err(GaugeFull { gauge, limit, used }),
            _ => {}
        }
        *state.held.get_mut(gauge) += 1;
        drop(state);
        Ok(HeldPlace { gauges: Arc::clone(self), gauge, is_held: true })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whole values are replaced under it, so a panic elsewhere leaves none half-written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn shift(
        &mut self,
        tenant: TenantId,
        journal: &Journal,
        (gauge, to): (Gauge, Shift),
        at: At,
        key: Option<ReportKey>,
    ) -> Result<u64, SlotUnavailable> {
        self.reach(tenant, journal, at);
        let level = to.from(self.levels.get(gauge));
        let over = if gauge == Gauge::Storage { beyond(level, at.included) } else { 0 };
        let over = over.max(self.storage_over);
        let report = self.report(tenant, What::Level(gauge, level, over), at, key);
        if let Err(error) = journal.report(&report) {
            if key.is_some() {
                return Err(error);
            }
            self.late.add(gauge);
        }
        *self.levels.get_mut(gauge) = level;
        self.peak = self.peak.highest(&self.levels);
        (self.storage_over, self.is_told) = (over, true);
        Ok(level)
    }

    /// A month begins, unless it has; a clock that goes back stays in the later one.
    fn reach(&mut self, tenant: TenantId, journal: &Journal, at: At) {
        let month = at.now.day().month();
        if month > self.month {
            self.tell(tenant, journal, at);
            self.last_peak = Some((self.month, self.peak));
            (self.month, self.peak) = (month, self.levels);
            (self.storage_over, self.is_told) = (beyond(self.levels.storage, at.included), false);
            self.users.clear();
        }
    }

    /// Counts what is stored by what is included.
    fn look(&mut self, included: Option<u64>) {
        let over = beyond(self.levels.storage, included);
        if over > self.storage_over {
            (self.storage_over, self.is_told) = (over, false);
        }
    }

    fn tell(&mut self, tenant: TenantId, journal: &Journal, at: At) {
        if self.storage_over == 0 || std::mem::replace(&mut self.is_told, true) {
            return;
        }
        let what = What::Level(Gauge::Storage, self.levels.storage, self.storage_over);
        if journal.report(&self.report(tenant, what, at, None)).is_err() {
            self.late.add(Gauge::Storage);
        }
    }

    fn let_go(&mut self, gauge: Gauge) {
        let held = self.held.get_mut(gauge);
        *held = held.saturating_sub(1);
    }

    /// A report in the newest month: a clock that goes back books to the later one, and what is left of a month is booked to it.
    fn report(&self, tenant: TenantId, what: What, at: At, key: Option<ReportKey>) -> Report {
        let last = Millis(self.month.end().start().0 - 1);
        Report { tenant, time: at.now.clamp(self.month.first().start(), last), what, key }
    }
}

impl Shift {
    fn from(self, level: u64) -> u64 {
        match self {
            Self::By(delta) => level.saturating_add_signed(delta).min(MOST),
            Self::To(level) => level,
        }
    }
}

impl HeldPlace {
    /// The app has done it: the place is taken for good, in the same step in which it is let go.
    pub fn take(mut self, journal: &Journal, at: At) {
        self.is_held = false;
        let (gauges, gauge) = (&self.gauges, self.gauge);
        let mut state = gauges.state();
        state.let_go(gauge);
        // Without a key it cannot fail.
        let _ = state.shift(gauges.tenant, journal, (gauge, Shift::By(1)), at, None);
    }

    /// Of which gauge.
    pub fn gauge(&self) -> Gauge {
        self.gauge
    }
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        if self.is_held {
            self.gauges.state().let_go(self.gauge);
        }
    }
}

/// No level gets beyond: it is what a SQL database and most languages can count.
const MOST: u64 = i64::MAX as u64;

/// What lies beyond what is included; nothing where nothing is billed.
fn beyond(level: u64, included: Option<u64>) -> u64 {
    included.map_or(0, |included| level.saturating_sub(included))
}
