//! Over random changes of plan, pauses and usage, what is invoiced adds up to what the prices of the plans say: reckoned here once
//! more, in whole days and with nothing of the code that is tested.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use jiff::civil::{Date, date};
use jiff::{Span, ToSpan};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::admin::tests::support::{Admin, config, millis};
use crate::config::Config;
use crate::model::plan::{OveragePrice, Pricing};
use crate::model::{Money, Overage, Totals};
use crate::store::UsageRow;

/// Name, price of a month, price of a year, price of a thousand calls beyond the limit.
const PLANS: [(&str, i64, i64, i64); 3] = [("small", 2_900, 29_000, 50), ("middle", 9_900, 99_000, 37), ("large", 49_900, 499_000, 11)];

#[derive(Debug, Clone, Copy)]
enum Step {
    Wait(u8),
    Plan(usize, bool),
    Pause,
    Resume,
    Use(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1_u8..60).prop_map(Step::Wait),
        3 => (0..PLANS.len(), any::<bool>()).prop_map(|(plan, yearly)| Step::Plan(plan, yearly)),
        1 => Just(Step::Pause),
        1 => Just(Step::Resume),
        2 => (1_u32..20_000).prop_map(Step::Use),
    ];
    proptest::collection::vec(step, 1..25)
}

fn catalogue() -> Config {
    let mut config = config();
    for (name, monthly, yearly, beyond) in PLANS {
        let mut plan = config.plans["pro"].clone();
        (plan.name, plan.price_monthly, plan.price_yearly) = (name.to_owned(), Money(monthly), Money(yearly));
        let price = OveragePrice { pricing: Pricing::Package(Money(beyond)), per: 1_000, hard_cap: None };
        plan.overage = Overage::Billed { api_calls: Some(price), bandwidth: None, storage: None };
        config.plans.insert(plan.name.clone(), plan);
    }
    config.billing.due_days = 3_000;
    config.billing.trial_days = 0;
    config
}

/// What should be charged, in whole days.
struct Reckoning {
    today: Date,
    plan: usize,
    yearly: bool,
    pending: Option<(usize, bool)>,
    paused: bool,
    anchor: Date,
    nth: i32,
    start: Date,
    end: Date,
    /// Calls beyond the limit that are not billed yet: plan, day, how many. A new plan begins a new group.
    groups: Vec<(usize, Vec<(Date, u64)>)>,
    charged: i64,
}

impl Reckoning {
    fn begin(today: Date, plan: usize, yearly: bool) -> Self {
        let mut new = Self {
            today,
            plan,
            yearly,
            pending: None,
            paused: false,
            anchor: today,
            nth: 0,
            start: today,
            end: today,
            groups: Vec::new(),
            charged: 0,
        };
        new.anew();
        new
    }

    fn price(&self) -> i64 {
        if self.yearly { PLANS[self.plan].2 } else { PLANS[self.plan].1 }
    }

    fn length(&self, count: i32) -> Span {
        if self.yearly { (12 * count).months() } else { count.months() }
    }

    /// A first period begins today.
    fn anew(&mut self) {
        (self.anchor, self.nth) = (self.today, 0);
        self.period();
        self.groups = vec![(self.plan, Vec::new())];
    }

    fn period(&mut self) {
        self.start = self.anchor.checked_add(self.length(self.nth)).unwrap();
        self.end = self.anchor.checked_add(self.length(self.nth + 1)).unwrap();
        self.charged += self.price();
    }

    /// Charges the usage of days before `end`; what is of later days is left, by plan.
    fn bill(&mut self, end: Date) -> Vec<(usize, Vec<(Date, u64)>)> {
        let mut left = Vec::new();
        for (plan, calls) in std::mem::take(&mut self.groups) {
            let (now, later): (Vec<_>, Vec<_>) = calls.into_iter().partition(|(day, _)| *day < end);
            let sum: u64 = now.iter().map(|(_, calls)| calls).sum();
            self.charged += sum.div_ceil(1_000) as i64 * PLANS[plan].3;
            left.push((plan, later));
        }
        left.retain(|(_, calls)| !calls.is_empty());
        left
    }

    fn rest(price: i64, left: i64, whole: i64) -> i64 {
        (2 * price * left + whole) / (2 * whole)
    }

    fn wait(&mut self, days: u8) {
        for _ in 0..days {
            self.today = self.today.tomorrow().unwrap();
            if self.paused || self.today < self.end {
                continue;
            }
            self.bill(self.end);
            let before = self.yearly;
            if let Some((plan, yearly)) = self.pending.take() {
                (self.plan, self.yearly) = (plan, yearly);
            }
            if self.yearly == before {
                self.nth += 1;
                self.period();
                self.groups = vec![(self.plan, Vec::new())];
            } else {
                self.anew();
            }
        }
    }

    fn change(&mut self, plan: usize, yearly: bool) {
        if (plan, yearly) == (self.plan, self.yearly) {
            self.pending = None;
            return;
        }
        if self.today >= self.end {
            (self.plan, self.yearly, self.pending) = (plan, yearly, None);
            return;
        }
        // Who is suspended begins no period.
        if PLANS[plan].1 < PLANS[self.plan].1 || self.paused && yearly != self.yearly {
            self.pending = Some((plan, yearly));
            return;
        }
        self.pending = None;
        let days = |from: Date, to: Date| i64::from(from.until(to).unwrap().get_days());
        let (left, whole) = (days(self.today, self.end), days(self.start, self.end));
        self.charged -= Self::rest(self.price(), left, whole);
        let old = self.plan;
        if yearly == self.yearly {
            self.plan = plan;
            self.charged += Self::rest(self.price(), left, whole);
            if plan != old {
                self.groups.push((plan, Vec::new()));
            }
        } else {
            let today = self.bill(self.today);
            (self.plan, self.yearly) = (plan, yearly);
            self.anew();
            self.groups = today;
            if self.groups.last().is_none_or(|(last, _)| *last != plan) {
                self.groups.push((plan, Vec::new()));
            }
        }
    }

    fn resume(&mut self) {
        self.paused = false;
        if self.today >= self.end {
            self.bill(self.end);
            if let Some((plan, yearly)) = self.pending.take() {
                (self.plan, self.yearly) = (plan, yearly);
            }
            self.anew();
        }
    }
}

/// The same through the API.
async fn apply(admin: &Admin, expected: &mut Reckoning, step: Step, writer: u64) {
    match step {
        Step::Wait(days) => {
            expected.wait(days);
            admin.move_to(&format!("{}T00:00:00Z", expected.today)).await;
        }
        Step::Plan(plan, yearly) => {
            expected.change(plan, yearly);
            let cycle = if yearly { "yearly" } else { "monthly" };
            let body = json!({"plan": PLANS[plan].0, "billingCycle": cycle});
            let preview = admin.call("PUT", "/admin/tenants/acme/subscription?dryRun=true", body.clone(), &[]).await.expect(200).json;
            let before = admin.invoices("acme").await.len();
            admin.subscribe("acme", body).await.expect(200);
            let invoices = admin.invoices("acme").await;
            let charged = invoices.get(before).map_or(0, |invoice| invoice["amountMinor"].as_i64().unwrap());
            assert_eq!(charged, preview["totalMinor"].as_i64().unwrap().max(0), "a change charges what its preview says");
        }
        Step::Pause => {
            expected.paused = true;
            admin.post("/admin/tenants/acme/suspend", Value::Null).await.expect(200);
        }
        Step::Resume => {
            if expected.paused {
                expected.resume();
            }
            admin.post("/admin/tenants/acme/activate", Value::Null).await.expect(200);
        }
        Step::Use(_) if expected.paused => {}
        Step::Use(calls) => {
            expected.groups.last_mut().unwrap().1.push((expected.today, u64::from(calls)));
            let tenant = admin.show("acme").await["id"].as_str().unwrap().parse().unwrap();
            let day = crate::model::Millis(millis(&format!("{}T00:00:00Z", expected.today))).day();
            let totals = Totals { calls_over: u64::from(calls), ..Totals::default() };
            admin.tenants.store.add_usage(vec![UsageRow { writer, tenant, day, totals }]).await.unwrap();
        }
    }
}

async fn run(first: Date, plan: usize, yearly: bool, steps: &[Step]) {
    let admin = Admin::with(catalogue()).await;
    admin.move_to(&format!("{first}T00:00:00Z")).await;
    let cycle = if yearly { "yearly" } else { "monthly" };
    let body = json!({"name": "Acme", "slug": "acme", "plan": PLANS[plan].0, "billingCycle": cycle});
    admin.post("/admin/tenants", body).await.expect(201);
    admin.advance("0s").await;
    let mut expected = Reckoning::begin(first, plan, yearly);
    for (at, step) in steps.iter().enumerate() {
        apply(&admin, &mut expected, *step, at as u64 + 1).await;
    }
    // What was used is billed at the latest when it leaves.
    let today = expected.today;
    let left = expected.bill(today.tomorrow().unwrap());
    assert!(left.is_empty());
    admin.post("/admin/tenants/acme/cancel", Value::Null).await.expect(200);

    let invoices = admin.invoices("acme").await;
    let lines = invoices.iter().flat_map(|invoice| invoice["items"].as_array().unwrap());
    let charged: i64 = lines.filter(|line| line["kind"] != "credit").map(|line| line["amountMinor"].as_i64().unwrap()).sum();
    assert_eq!(charged, expected.charged, "what was charged");
    let issued: i64 = invoices.iter().map(|invoice| invoice["amountMinor"].as_i64().unwrap()).sum();
    let credit = admin.show("acme").await["creditMinor"].as_i64().unwrap();
    assert_eq!(issued - credit, charged, "what is to be paid, and what is due to the tenant");
    let mut periods = BTreeSet::new();
    for (at, invoice) in invoices.iter().enumerate() {
        assert_eq!(invoice["number"], format!("INV-{:06}", at + 1));
        let explained = admin.get(&format!("/admin/invoices/{}/explain", invoice["id"].as_str().unwrap())).await.expect(200).json;
        assert_eq!(explained["agrees"], true, "{explained}");
        if invoice["reason"] == "period" && !invoice["period"].is_null() {
            assert!(periods.insert(invoice["period"]["start"].as_i64().unwrap()), "one invoice for each period");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn invoices_add_up_to_what_the_prices_of_the_plans_say(
        day in 0_i32..800, plan in 0..PLANS.len(), yearly: bool, steps in steps(),
    ) {
        let first = date(2026, 12, 1).checked_add(day.days()).unwrap();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(first, plan, yearly, &steps));
    }
}
