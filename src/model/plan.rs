//! Plans: what a tenant pays and how much it may use. `None` is unlimited throughout.

use serde::{Deserialize, Serialize};

use super::{Gauge, Money};

/// One plan of the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The name by which tenants subscribe, such as `pro`.
    pub name: String,
    /// Price of a month.
    pub price_monthly: Money,
    /// Price of a year.
    pub price_yearly: Money,
    /// What a tenant may use.
    pub limits: Limits,
    /// Requests per second; `None` is unlimited.
    pub rate: Option<Rate>,
    /// Requests in flight.
    pub concurrency: Option<u32>,
    /// What happens beyond the limits.
    pub overage: Overage,
}

impl Plan {
    /// True where neither a month nor a year costs anything.
    pub const fn is_free(&self) -> bool {
        self.price_monthly.0 == 0 && self.price_yearly.0 == 0
    }
}

/// How much may be used; `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Users of the app.
    pub max_users: Option<u64>,
    /// Projects of the app.
    pub max_projects: Option<u64>,
    /// Bytes stored.
    pub max_storage: Option<u64>,
    /// API calls per UTC day.
    pub max_api_calls: Option<u64>,
    /// Response body bytes per UTC month.
    pub max_bandwidth: Option<u64>,
}

/// A rate of requests with its burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Requests per second, at least 1.
    pub per_second: u32,
    /// Requests at once, at least 1.
    pub burst: u32,
}

/// What happens when a limit is reached.
#[derive(Debug, Clone, PartialEq)]
pub enum Overage {
    /// Calls are refused.
    Block,
    /// Calls are served and billed, up to a hard cap where one is set.
    Billed {
        /// Beyond `max_api_calls`.
        api_calls: Option<OveragePrice>,
        /// Beyond `max_bandwidth`.
        bandwidth: Option<OveragePrice>,
        /// Beyond `max_storage`.
        storage: Option<OveragePrice>,
    },
}

/// The price of what lies beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OveragePrice {
    /// Price of each started `per`.
    pub price: Money,
    /// Units (calls, bytes) that one price buys, at least 1.
    pub per: u64,
    /// From here on calls are refused all the same.
    pub hard_cap: Option<u64>,
}

impl Plan {
    /// Calls per day at which the gateway refuses: the limit, or the hard cap where overage is billed.
    pub fn calls_per_day(&self) -> Option<u64> {
        let limit = self.limits.max_api_calls?;
        match &self.overage {
            Overage::Billed { api_calls: Some(price), .. } => price.hard_cap,
            Overage::Billed { .. } | Overage::Block => Some(limit),
        }
    }

    /// Calls per day that the price of the plan includes, where more are billed.
    pub const fn calls_included(&self) -> Option<u64> {
        match &self.overage {
            Overage::Billed { api_calls: Some(_), .. } => self.limits.max_api_calls,
            Overage::Billed { .. } | Overage::Block => None,
        }
    }

    /// Bytes per month that the price of the plan includes, where more are billed.
    pub const fn bytes_included(&self) -> Option<u64> {
        match &self.overage {
            Overage::Billed { bandwidth: Some(_), .. } => self.limits.max_bandwidth,
            Overage::Billed { .. } | Overage::Block => None,
        }
    }

    /// Octets stored that the price of the plan includes, where more are billed.
    pub const fn storage_included(&self) -> Option<u64> {
        match &self.overage {
            Overage::Billed { storage: Some(_), .. } => self.limits.max_storage,
            Overage::Billed { .. } | Overage::Block => None,
        }
    }

    /// The level of a gauge at which the gateway refuses: the limit, or the hard cap where overage is billed.
    pub fn most_of(&self, gauge: Gauge) -> Option<u64> {
        let limit = self.limits.of(gauge)?;
        match (&self.overage, gauge) {
            (Overage::Billed { storage: Some(price), .. }, Gauge::Storage) => price.hard_cap,
            _ => Some(limit),
        }
    }

    /// Bytes per month at which the gateway refuses: the limit, or the hard cap where overage is billed.
    pub fn bytes_per_month(&self) -> Option<u64> {
        let limit = self.limits.max_bandwidth?;
        match &self.overage {
            Overage::Billed { bandwidth: Some(price), .. } => price.hard_cap,
            Overage::Billed { .. } | Overage::Block => Some(limit),
        }
    }
}

/// How often a subscription is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BillingCycle {
    /// Each month.
    #[default]
    Monthly,
    /// Each year.
    Yearly,
}
