//! A scenario, made from a seed: tenants with their plans and countries, and what is asked for and when, on one moment of each day.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use gatehouse::model::{Millis, Month};
use serde_json::{Value, json};

const DAY: i64 = 86_400_000;
const GIB: u64 = 1 << 30;

/// What a scenario is made of.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub tenants: usize,
    /// How long it goes on after the first day.
    pub days: i64,
    /// Tenants are created over so many days at first.
    pub creation: i64,
    /// Something is asked for every so many days.
    pub every: i64,
    /// Changes of a tenant on average, beside payments and reports.
    pub changes: usize,
}

/// What is asked for at a moment.
pub struct Step {
    pub at: i64,
    pub actions: Vec<Value>,
}

/// A whole scenario.
pub struct Scenario {
    pub steps: Vec<Step>,
}

/// What tenants pay for, as the gateway's configuration has it; [`rules`] says the same for the calculation.
pub const CONFIG: &str = r#"
[plans.metered]
price_monthly = 59.00
price_yearly = 590.00
max_storage = "10GiB"
max_api_calls = 20
overage = { api_calls = { price = 0.37, per = 10 }, storage = { price = 0.21, per = "1GiB" } }

[plans.archive]
price_monthly = 75.00
price_yearly = 750.00
max_storage = "20GiB"
overage = { storage = { price = 0.13, per = "1GiB" } }

[add_ons.seats]
price_monthly = 12.00
price_yearly = 120.00
adds = { max_users = 10 }

[add_ons.space]
price_monthly = 7.50
price_yearly = 75.00
adds = { max_storage = "5GiB" }

[billing]
due_days = 30
grace_days = 12
tax = [
    { country = "DE", rate = 19 },
    { country = "GB", rate = 20, inclusive = true },
    { country = "FR", rate = 20, reverse_charge = true },
    { country = "IT", rate = 22, inclusive = true, reverse_charge = true },
    { country = "CH", rate = 8.1 },
]

[dev]
test_clock = true
"#;

/// The same in minor units, for the calculation.
pub fn rules() -> Value {
    let plan = |monthly, yearly| json!({"monthly": monthly, "yearly": yearly});
    let mut metered = plan(5_900, 59_000);
    metered["storage"] = json!({"included": 10 * GIB, "per": GIB, "price": 21});
    metered["calls"] = json!({"included": 20, "per": 10, "price": 37});
    let mut archive = plan(7_500, 75_000);
    archive["storage"] = json!({"included": 20 * GIB, "per": GIB, "price": 13});
    let tax = |percent: &str, inclusive, reverse| json!({"percent": percent, "inclusive": inclusive, "reverse": reverse});
    json!({
        "trialDays": 14, "dueDays": 30, "graceDays": 12,
        "plans": {
            "free": plan(0, 0), "starter": plan(2_900, 29_000), "pro": plan(9_900, 99_000), "enterprise": plan(49_900, 499_000),
            "metered": metered, "archive": archive,
        },
        "addOns": {
            "seats": {"monthly": 1_200, "yearly": 12_000},
            "space": {"monthly": 750, "yearly": 7_500, "storage": 5 * GIB},
        },
        "tax": {
            "DE": tax("19", false, false), "GB": tax("20", true, false), "FR": tax("20", false, true), "IT": tax("22", true, true),
            "CH": tax("8.1", false, false),
        },
    })
}

impl Scenario {
    /// The scenario of a seed. It begins with a year ahead that has a 29th of February.
    pub fn of(seed: u64, size: Size) -> Self {
        let mut rng = Rng::with_seed(seed);
        let first = next_leap_year();
        let mut days: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
        for nth in 0..size.tenants {
            let mut life = Planned::new(nth, size, &mut rng);
            life.plan();
            for (day, action) in life.actions {
                days.entry(day).or_default().push(action);
            }
        }
        days.entry(size.days).or_default();
        // One moment of each day, so that the anchors of periods have all times of a day.
        let steps = days.into_iter().map(|(day, actions)| Step { at: first + day * DAY + rng.i64(0..DAY), actions });
        Self { steps: steps.collect() }
    }

    /// As the calculation reads it.
    pub fn to_json(&self) -> Value {
        let steps: Vec<Value> = self.steps.iter().map(|step| json!({"at": step.at, "actions": step.actions})).collect();
        json!({"rules": rules(), "steps": steps})
    }
}

/// One tenant being planned: at most one action on each day.
struct Planned<'a> {
    slug: String,
    size: Size,
    rng: &'a mut Rng,
    created: i64,
    plan: &'static str,
    actions: BTreeMap<i64, Value>,
}

impl<'a> Planned<'a> {
    fn new(nth: usize, size: Size, rng: &'a mut Rng) -> Self {
        let created = rng.i64(0..size.creation) / size.every * size.every;
        let plan = plan(rng);
        Self { slug: format!("tenant-{nth}"), size, rng, created, plan, actions: BTreeMap::new() }
    }

    fn plan(&mut self) {
        let who = json!({"plan": self.plan, "billingCycle": cycle(self.rng), "billing": customer(self.rng)});
        self.ask(self.created, "create", json!({"who": who}));
        self.payments();
        self.usage();
        for _ in 0..self.rng.usize(0..=2 * self.size.changes) {
            self.change();
        }
    }

    /// Some pay in time, some late, some never.
    fn payments(&mut self) {
        let (wait, every) = match self.rng.u8(0..10) {
            0..6 => (self.rng.i64(0..25), 28),
            6..8 => (self.rng.i64(25..60), self.rng.i64(40..80)),
            8 => (self.rng.i64(100..250), 100),
            _ => return,
        };
        let mut day = self.created + 14 + wait;
        while day < self.size.days {
            self.ask(day, "pay", json!({}));
            day += every;
        }
    }

    /// What is stored, and of a few tenants the calls that they make.
    fn usage(&mut self) {
        let reports = if matches!(self.plan, "metered" | "archive") { self.rng.i64(0..self.size.days / 50) } else { self.rng.i64(0..2) };
        for _ in 0..reports {
            let day = self.some_day();
            let level = self.rng.u64(0..40 * GIB);
            self.ask(day, "report", json!({"level": level}));
        }
        if self.plan == "metered" && self.rng.u8(0..8) == 0 {
            for _ in 0..self.size.days / 60 {
                let day = self.some_day();
                let many = self.rng.u64(1..50);
                self.ask(day, "calls", json!({"many": many}));
            }
        }
    }

    fn change(&mut self) {
        let day = self.some_day();
        match self.rng.u8(0..20) {
            0..10 => {
                let wanted = json!({"plan": plan(self.rng), "billingCycle": cycle(self.rng), "addOns": add_ons(self.rng)});
                self.ask(day, "subscribe", wanted);
            }
            10..13 => {
                let at_period_end = self.rng.bool();
                self.ask(day, "cancel", json!({"atPeriodEnd": at_period_end}));
                if self.rng.u8(0..3) > 0 {
                    let later = day + self.rng.i64(1..90);
                    self.ask(later, "activate", json!({}));
                }
            }
            13..15 => {
                self.ask(day, "suspend", json!({}));
                if self.rng.u8(0..4) > 0 {
                    let later = day + self.rng.i64(1..60);
                    self.ask(later, "activate", json!({}));
                }
            }
            15..17 => self.ask(day, "activate", json!({})),
            17 => {
                let percent = self.rng.u8(1..30);
                self.ask(day, "credit", json!({"percent": percent}));
            }
            _ => {
                self.ask(day, "void", json!({}));
                let wanted = json!({"plan": plan(self.rng), "billingCycle": cycle(self.rng), "addOns": add_ons(self.rng)});
                let later = day + self.rng.i64(1..20);
                self.ask(later, "subscribe", wanted);
            }
        }
    }

    fn some_day(&mut self) -> i64 {
        self.rng.i64(self.created + 1..self.size.days)
    }

    /// On the last day before that on which anything is asked for; the first wish of a day counts.
    fn ask(&mut self, day: i64, action: &str, mut more: Value) {
        let day = day / self.size.every * self.size.every;
        if day < self.size.days && (day > self.created || action == "create") {
            (more["do"], more["tenant"]) = (json!(action), json!(self.slug));
            self.actions.entry(day).or_insert(more);
        }
    }
}

fn plan(rng: &mut Rng) -> &'static str {
    let plans = ["free", "starter", "pro", "pro", "enterprise", "metered", "metered", "metered", "archive", "archive"];
    rng.choice(plans).unwrap()
}

fn cycle(rng: &mut Rng) -> &'static str {
    if rng.u8(0..4) == 0 { "yearly" } else { "monthly" }
}

fn add_ons(rng: &mut Rng) -> Vec<(&'static str, u64)> {
    let wanted = ["seats", "space"].into_iter().filter_map(|name| if rng.u8(0..4) == 0 { Some((name, rng.u64(1..4))) } else { None });
    wanted.collect()
}

fn customer(rng: &mut Rng) -> Value {
    match rng.u8(0..12) {
        0..2 => json!({"country": "DE"}),
        2 => json!({"country": "DE", "taxExempt": true}),
        3 => json!({"country": "GB"}),
        4 => json!({"country": "FR"}),
        5 => json!({"country": "FR", "vatId": "FR12345678901"}),
        6 => json!({"country": "IT", "vatId": "IT12345678901"}),
        7 => json!({"country": "IT", "taxExempt": true}),
        8 => json!({"country": "CH"}),
        9 => json!({"country": "US"}),
        _ => json!({}),
    }
}

/// The begin of the first leap year that is wholly ahead.
fn next_leap_year() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let (year, ..) = Millis(i64::try_from(now).unwrap()).day().civil();
    let is_leap = |year: &i32| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let leap = (year + 1..).find(is_leap).unwrap();
    Month { year: leap, month: 1 }.first().start().0
}
