//! A tenant of a test, with limits of its own where the test sets some.

use std::fmt::Write;

/// What a tenant shall be.
#[derive(Clone)]
pub struct TestTenant {
    pub slug: String,
    plan: Option<String>,
    limits: Vec<(&'static str, String)>,
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// A tenant on a plan without limits.
pub fn tenant(slug: &str) -> TestTenant {
    TestTenant { slug: slug.to_owned(), plan: None, limits: Vec::new(), extra: serde_json::Map::new() }
}

impl TestTenant {
    /// One of the shipped plans.
    pub fn plan(mut self, plan: &str) -> Self {
        self.plan = Some(plan.to_owned());
        self
    }

    /// Requests a second, as many at once.
    pub fn per_second(self, rate: u32) -> Self {
        self.limit("rate", format!("{{ per_second = {rate}, burst = {rate} }}"))
    }

    /// Requests a second, and how many at once.
    pub fn rate(self, per_second: u32, burst: u32) -> Self {
        self.limit("rate", format!("{{ per_second = {per_second}, burst = {burst} }}"))
    }

    /// Requests in flight.
    pub fn concurrency(self, max: u32) -> Self {
        self.limit("concurrency", max.to_string())
    }

    /// API calls per UTC day.
    pub fn calls_per_day(self, max: u64) -> Self {
        self.limit("max_api_calls", max.to_string())
    }

    /// Octets per UTC month.
    pub fn bytes_per_month(self, max: u64) -> Self {
        self.limit("max_bandwidth", max.to_string())
    }

    /// Users, projects or storage: a key of the plan and its value as TOML.
    pub fn most(self, key: &'static str, value: impl ToString) -> Self {
        self.limit(key, value.to_string())
    }

    /// Another member of the request that creates it, such as `customDomain` or `upstream`.
    pub fn with(mut self, member: &str, value: impl Into<serde_json::Value>) -> Self {
        self.extra.insert(member.to_owned(), value.into());
        self
    }

    /// What happens beyond the limits, as TOML.
    pub fn overage(self, toml: &str) -> Self {
        self.limit("overage", toml.to_owned())
    }

    fn limit(mut self, key: &'static str, value: String) -> Self {
        self.limits.push((key, value));
        self
    }

    /// Name of its plan.
    pub fn plan_name(&self) -> String {
        self.plan.clone().unwrap_or_else(|| format!("of-{}", self.slug))
    }

    /// Its plan as TOML, where it is not a shipped one.
    pub fn plan_toml(&self) -> String {
        let mut text = String::new();
        if self.plan.is_none() {
            let _ = writeln!(text, "[plans.of-{}]\nprice_monthly = 10\nprice_yearly = 100", self.slug);
            for (key, value) in &self.limits {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        text
    }
}
