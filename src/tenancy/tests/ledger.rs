//! The quota ledger (window, journal and store together) against a plain count: whatever happens in whatever order, never more
//! than the limit, and a refusal only while all places are taken.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use crate::limits::take_place;
use crate::metering::{Counted, Journal, Slot, fold, verify};
use crate::model::{Day, Millis, TenantId, Totals};
use crate::store::Store;
use crate::store::memory::Memory;
use crate::tenancy::window::DayWindow;

#[derive(Debug, Clone, Copy)]
enum Step {
    Ask,
    Answer(usize),
    GiveBack(usize),
    Fold,
    Upkeep,
    Restart,
    /// By so many days; back as well.
    Clock(i32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Ask),
        4 => any::<usize>().prop_map(Step::Answer),
        3 => any::<usize>().prop_map(Step::GiveBack),
        2 => Just(Step::Fold),
        1 => Just(Step::Upkeep),
        1 => Just(Step::Restart),
        1 => (-2_i32..4).prop_map(Step::Clock),
    ]
}

/// What a plain count says of a day.
#[derive(Default, Clone, Copy, PartialEq, Eq, Debug)]
struct Plain {
    taken: u64,
    metered: u64,
    aborted: u64,
}

struct Ledger {
    dir: tempfile::TempDir,
    store: Memory,
    journal: Option<Arc<Journal>>,
    window: DayWindow,
    tenant: TenantId,
    clock: Day,
    open: Vec<(Day, Slot)>,
    plain: BTreeMap<Day, Plain>,
}

const START: Day = Day(20_780);

impl Ledger {
    async fn start() -> Self {
        let (dir, store, tenant) = (tempfile::tempdir().unwrap(), Memory::default(), TenantId::from_bytes([7; 16]));
        let window = DayWindow::starting(START, &[]);
        let mut ledger = Self { dir, store, journal: None, window, tenant, clock: START, open: Vec::new(), plain: BTreeMap::new() };
        ledger.restart().await;
        ledger
    }

    fn journal(&self) -> &Arc<Journal> {
        self.journal.as_ref().unwrap()
    }

    /// Nothing is folded or ended before: as with `kill -9`.
    async fn restart(&mut self) {
        for (day, _) in self.open.drain(..) {
            self.plain.entry(day).or_default().aborted += 1;
        }
        self.window = DayWindow::starting(START, &[]);
        self.journal = None;
        let now = Millis(self.clock.start().0 + 1_000);
        self.journal = Some(Journal::open(self.dir.path(), &self.store, now).await.unwrap());
        let rows = self.store.usage(self.tenant, self.clock.month().first()..Day(i32::MAX)).await.unwrap();
        self.window = DayWindow::starting(self.clock, &rows);
    }

    fn ask(&mut self, limit: u64) -> Result<(), TestCaseError> {
        if self.window.day() < self.clock {
            self.window = self.window.rolled_to(self.clock);
        }
        let day = self.window.day();
        let plain = self.plain.entry(day).or_default();
        let slot = self.window.slot(self.journal.as_ref().unwrap(), self.tenant).unwrap();
        let place = take_place(slot.admitted(), slot.given_back(), self.window.calls_before(), Some(limit));
        match place {
            Ok(place) => {
                prop_assert!(plain.taken < limit, "more than there are on {day}");
                plain.taken += 1;
                prop_assert_eq!(place.remaining, Some(limit - plain.taken));
                self.open.push((day, slot.clone()));
            }
            Err(full) => prop_assert_eq!((full.used, plain.taken), (limit, limit), "refused for nothing on {}", day),
        }
        Ok(())
    }

    async fn take(&mut self, step: Step, limit: u64) -> Result<(), TestCaseError> {
        match step {
            Step::Ask => self.ask(limit)?,
            Step::Answer(which) if !self.open.is_empty() => {
                let (day, slot) = self.open.swap_remove(which % self.open.len());
                slot.add_metered();
                self.plain.entry(day).or_default().metered += 1;
            }
            Step::GiveBack(which) if !self.open.is_empty() => {
                let (day, slot) = self.open.swap_remove(which % self.open.len());
                slot.give_back();
                self.plain.entry(day).or_default().taken -= 1;
            }
            Step::Answer(_) | Step::GiveBack(_) => {}
            Step::Fold => drop(fold(self.journal(), &self.store).await.unwrap()),
            Step::Upkeep => self.journal().maintain(self.clock).unwrap(),
            Step::Restart => self.restart().await,
            Step::Clock(days) => self.clock = Day(self.clock.0 + days),
        }
        Ok(())
    }

    /// What store and journal say of each day agrees with the plain count.
    async fn check(&mut self) -> Result<(), TestCaseError> {
        let balances = verify(&self.store, Counted::Live(self.journal()), None).await.unwrap();
        prop_assert!(balances.values().all(crate::metering::Balance::closes), "{:?}", balances);
        self.restart().await;
        let mut days: BTreeMap<Day, Totals> = BTreeMap::new();
        for row in self.store.usage(self.tenant, Day(i32::MIN)..Day(i32::MAX)).await.unwrap() {
            days.entry(row.day).or_default().add(&row.totals);
        }
        for (day, plain) in &self.plain {
            let totals = days.get(day).copied().unwrap_or_default();
            let counted = Plain { taken: totals.taken(), metered: totals.metered, aborted: totals.aborted };
            prop_assert_eq!(counted, *plain, "on {}", day);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn the_ledger_says_what_a_plain_count_says(limit in 0_u64..6, steps in prop::collection::vec(step(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut ledger = Ledger::start().await;
            for step in steps {
                ledger.take(step, limit).await?;
            }
            ledger.check().await
        })?;
    }
}
