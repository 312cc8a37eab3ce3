//! What is known of all subscriptions without asking the store: who is due when, who pays how much, who owes what. It is made of
//! tenants as they are published, so it is never behind what the data plane sees.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::due::next_duty;
use crate::billing::revenue::{Moved, Moves, Totals};
use crate::config::Config;
use crate::model::{Millis, Money, Month, Status, Tenant, TenantId};

/// All subscriptions in short.
pub struct Accounts {
    config: Arc<Config>,
    state: Mutex<State>,
    issued: AtomicU64,
}

#[derive(Default)]
struct State {
    agenda: BTreeSet<(Millis, TenantId)>,
    of: HashMap<TenantId, Account>,
    /// Sums over `of`, kept along so that nobody has to add up.
    totals: Totals,
    /// How those moved who moved last in a month.
    moves: BTreeMap<Month, Moves>,
}

/// One subscription in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// When the next thing is due.
    pub due: Option<Millis>,
    /// What it pays in a year.
    pub yearly: Money,
    /// What it owes.
    pub open: Money,
    /// Of it, what is overdue or was declined.
    pub overdue: Money,
    /// It is in its trial.
    pub is_trial: bool,
    /// When its revenue has moved last, and how.
    moved: Option<(Month, Moved)>,
}

impl Accounts {
    /// None yet.
    pub fn new(config: Arc<Config>) -> Self {
        Self { config, state: Mutex::default(), issued: AtomicU64::new(0) }
    }

    /// A tenant as it is published.
    pub(in crate::tenancy) fn show(&self, tenant: &Tenant) {
        let subscription = &tenant.subscription;
        let is_failed = |owed: &&crate::model::Owed| owed.failed_at.is_some();
        let revenue = subscription.revenue.as_ref();
        let account = Account {
            due: next_duty(tenant, &self.config).map(|(at, _)| at),
            yearly: revenue.map_or(Money(0), |revenue| revenue.yearly),
            open: subscription.open.iter().map(|owed| owed.due).sum(),
            overdue: subscription.open.iter().filter(is_failed).map(|owed| owed.due).sum(),
            is_trial: tenant.status == Status::Trial,
            moved: revenue.and_then(|revenue| Some((revenue.month.parse().ok()?, revenue.into()))),
        };
        self.state().set(tenant.id, account);
    }

    /// Takes who is due by `now`, the earliest first, at most `limit`; they come again once they are published or put off.
    pub fn take_due(&self, now: Millis, limit: usize) -> Vec<(Millis, TenantId)> {
        let mut state = self.state();
        let due: Vec<(Millis, TenantId)> = state.agenda.iter().take_while(|(at, _)| *at <= now).take(limit).copied().collect();
        for entry in &due {
            state.agenda.remove(entry);
        }
        due
    }

    /// When the next thing is due.
    pub fn next_due(&self) -> Option<Millis> {
        self.state().agenda.first().map(|(at, _)| *at)
    }

    /// What could not be done is due again at `at`.
    pub fn put_off(&self, tenant: TenantId, at: Millis) {
        let mut state = self.state();
        let account = state.of.get(&tenant).copied().unwrap_or_default();
        state.set(tenant, Account { due: Some(at), ..account });
    }

    /// Puts who was taken, and for whom there was nothing to do, back to its time.
    pub fn put_back(&self, tenant: TenantId) {
        let mut state = self.state();
        if let Some(due) = state.of.get(&tenant).and_then(|account| account.due) {
            state.agenda.insert((due, tenant));
        }
    }

    /// What all subscriptions come to.
    pub fn totals(&self) -> Totals {
        self.state().totals
    }

    /// How revenue has moved in the current month. (Of an earlier one, those are missing who have moved since.)
    pub fn moves(&self, current: Month) -> Moves {
        self.state().moves.get(&current).copied().unwrap_or_default()
    }

    /// So many invoices were issued.
    pub(in crate::tenancy) fn issue(&self, invoices: usize) {
        self.issued.fetch_add(invoices as u64, Ordering::Relaxed);
    }

    /// How many invoices were issued since the process started.
    pub fn issued(&self) -> u64 {
        self.issued.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change under it is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Tenants of whom there is nothing to say take no room.
    fn set(&mut self, tenant: TenantId, account: Account) {
        let before = match account.is_empty() {
            true => self.of.remove(&tenant),
            false => self.of.insert(tenant, account),
        };
        self.totals -= before.unwrap_or_default().totals();
        self.totals += account.totals();
        if let Some((month, moved)) = before.and_then(|before| before.moved) {
            *self.moves.entry(month).or_default() -= Moves::of(moved);
        }
        if let Some((month, moved)) = account.moved {
            *self.moves.entry(month).or_default() += Moves::of(moved);
        }
        if let Some(due) = before.and_then(|before| before.due) {
            self.agenda.remove(&(due, tenant));
        }
        if let Some(due) = account.due {
            self.agenda.insert((due, tenant));
        }
    }
}

impl Account {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn totals(&self) -> Totals {
        Totals {
            yearly: self.yearly.0.into(),
            customers: (!self.yearly.is_zero()).into(),
            trials: self.is_trial.into(),
            open: self.open.0.into(),
            overdue: self.overdue.0.into(),
        }
    }
}
