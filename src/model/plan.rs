//! Plans: what a tenant pays and how much it may use. `None` is unlimited throughout.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Gauge, Money};

/// One version of a plan of the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The name by which tenants subscribe, such as `pro`.
    pub name: String,
    /// Counts the versions of a plan from 1; a tenant keeps its own until it is moved.
    #[serde(default = "first")]
    pub version: u32,
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
    /// Feature flags that tenants on it have on, or off, unless their own config says otherwise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub features: BTreeMap<String, bool>,
}

/// Something that is bought beside a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddOn {
    /// The name by which it is bought, such as `seats`.
    pub name: String,
    /// As invoices name it.
    pub title: String,
    /// Price of one for a month.
    pub price_monthly: Money,
    /// Price of one for a year.
    pub price_yearly: Money,
    /// What one adds to the limits of the plan; `None` adds nothing.
    pub adds: Limits,
}

const fn first() -> u32 {
    1
}

impl Plan {
    /// True where neither a month nor a year costs anything.
    pub const fn is_free(&self) -> bool {
        self.price_monthly.0 == 0 && self.price_yearly.0 == 0
    }

    /// True where usage beyond a limit is billed.
    pub const fn bills_usage(&self) -> bool {
        matches!(&self.overage, Overage::Billed { api_calls, bandwidth, storage } if api_calls.is_some() || bandwidth.is_some() || storage.is_some())
    }

    /// The same but for the version.
    pub fn is_like(&self, other: &Self) -> bool {
        *self == Self { version: self.version, ..other.clone() }
    }

    /// Price of one period.
    pub const fn price(&self, cycle: BillingCycle) -> Money {
        match cycle {
            BillingCycle::Monthly => self.price_monthly,
            BillingCycle::Yearly => self.price_yearly,
        }
    }

    /// As invoices name it: `Pro`.
    pub fn title(&self) -> String {
        title(&self.name)
    }
}

impl AddOn {
    /// Price of one for one period.
    pub const fn price(&self, cycle: BillingCycle) -> Money {
        match cycle {
            BillingCycle::Monthly => self.price_monthly,
            BillingCycle::Yearly => self.price_yearly,
        }
    }
}

/// Whether a plan or an add-on may be called so: 1 to 63 characters of a–z, 0–9, `-` and `_`.
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=63).contains(&name.len()) && name.bytes().all(plain)
}

/// Why the price of what lies beyond a limit does not fit that limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// There is no limit, so nothing lies beyond it.
    NoLimit,
    /// The hard cap is below the limit, which would make the limit a lie.
    CapBelow {
        /// The cap.
        cap: u64,
        /// The limit.
        limit: u64,
    },
}

/// Why a tier cannot stand where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TierFault {
    /// Only the last one has no end.
    NoEnd,
    /// The last one has an end.
    LastHasEnd,
    /// It ends in the middle of a package.
    NotWhole,
    /// It does not reach beyond the one before.
    NotBeyond,
}

impl TierFault {
    /// What is wrong with a tier that ends at so many units, where packages have `per` and the tiers before reach to `before`
    /// packages.
    pub const fn of(up_to: Option<u64>, is_last: bool, per: u64, before: u64) -> Option<Self> {
        match up_to {
            None if !is_last => Some(Self::NoEnd),
            Some(_) if is_last => Some(Self::LastHasEnd),
            Some(end) if end % per != 0 => Some(Self::NotWhole),
            Some(end) if end / per <= before => Some(Self::NotBeyond),
            _ => None,
        }
    }
}

impl Overage {
    /// Prices that do not fit these limits, by resource (`apiCalls`, `bandwidth`, `storage`).
    pub fn misfits(&self, limits: &Limits) -> Vec<(&'static str, Misfit)> {
        let Self::Billed { api_calls, bandwidth, storage } = self else { return Vec::new() };
        let pairs = [
            ("apiCalls", api_calls, limits.max_api_calls),
            ("bandwidth", bandwidth, limits.max_bandwidth),
            ("storage", storage, limits.max_storage),
        ];
        let misfit = |(resource, price, limit): (&'static str, &Option<OveragePrice>, Option<u64>)| match (price.as_ref()?.hard_cap, limit)
        {
            (_, None) => Some((resource, Misfit::NoLimit)),
            (Some(cap), Some(limit)) if cap < limit => Some((resource, Misfit::CapBelow { cap, limit })),
            _ => None,
        };
        pairs.into_iter().filter_map(misfit).collect()
    }
}

/// A name with its first letter as a capital, for people.
pub fn title(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Overage {
    /// Calls are refused.
    Block,
    /// Calls are served and billed, up to a hard cap where one is set.
    #[serde(rename_all = "camelCase")]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OveragePrice {
    /// What each started `per` costs.
    pub pricing: Pricing,
    /// Units (calls, bytes) that one price buys, at least 1.
    pub per: u64,
    /// From here on calls are refused all the same.
    pub hard_cap: Option<u64>,
}

/// What packages of `per` units cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pricing {
    /// Each the same.
    Package(Money),
    /// Each by the tier that it lies in.
    Graduated(Vec<Tier>),
    /// All by the tier that the last one lies in.
    Volume(Vec<Tier>),
}

impl Pricing {
    /// As JSON names it.
    pub const fn model(&self) -> &'static str {
        match self {
            Self::Package(_) => "package",
            Self::Graduated(_) => "graduated",
            Self::Volume(_) => "volume",
        }
    }

    /// Its tiers; one without an end where all packages cost the same.
    pub fn tiers(&self) -> Vec<Tier> {
        match self {
            Self::Package(price) => vec![Tier { up_to: None, price: *price }],
            Self::Graduated(tiers) | Self::Volume(tiers) => tiers.clone(),
        }
    }
}

/// A tier of prices. The last one has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tier {
    /// Packages up to which it reaches, from the first one on.
    pub up_to: Option<u64>,
    /// Price of each package in it.
    #[serde(rename = "priceMinor")]
    pub price: Money,
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

impl Limits {
    /// What a tenant may use that has `quantity` of an add-on as well; what is unlimited stays so.
    pub fn plus(&self, adds: &Self, quantity: u64) -> Self {
        let plus =
            |limit: Option<u64>, more: Option<u64>| limit.map(|limit| limit.saturating_add(more.unwrap_or(0).saturating_mul(quantity)));
        Self {
            max_users: plus(self.max_users, adds.max_users),
            max_projects: plus(self.max_projects, adds.max_projects),
            max_storage: plus(self.max_storage, adds.max_storage),
            max_api_calls: plus(self.max_api_calls, adds.max_api_calls),
            max_bandwidth: plus(self.max_bandwidth, adds.max_bandwidth),
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

impl BillingCycle {
    /// Months of a period.
    pub const fn months(self) -> i32 {
        match self {
            Self::Monthly => 1,
            Self::Yearly => 12,
        }
    }

    /// As JSON writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
        }
    }
}
