//! Plans and add-ons as requests write them, read by the same rules as the configuration's; every wrong member is told at once. What
//! the API shows can be sent back, so that members which only it sets are there, and are not read.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::call::{part, present};
use super::error::Problem;
use super::price::Price;
use crate::model::plan::{Misfit, OveragePrice, Pricing, TierFault, is_name, title};
use crate::model::{AddOn, Limits, Money, Overage, Plan, Rate, Tier, is_flag};
use crate::tenancy::FieldError;

/// Above it, sums of usage could overflow.
const MOST: u64 = i64::MAX as u64;

/// A plan, or the next version of one. Each price is told as a decimal number or text, or in minor units.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewPlan)]
#[allow(dead_code, reason = "members that only the API sets are taken and not read")]
pub struct PlanBody {
    /// 1 to 63 characters: a–z, 0–9, `-` and `_`.
    #[schema(example = "pro")]
    name: String,
    /// Price of a month.
    #[schema(value_type = Option<f64>, example = 109.0)]
    price_monthly: Option<Price>,
    /// The same in minor units.
    price_monthly_minor: Option<i64>,
    /// Price of a year.
    #[schema(value_type = Option<f64>, example = 1090.0)]
    price_yearly: Option<Price>,
    /// The same in minor units.
    price_yearly_minor: Option<i64>,
    /// `maxUsers`, `maxProjects`, `maxStorage`, `maxApiCalls` and `maxBandwidth`, all of them; `null` is unlimited.
    #[schema(value_type = Object)]
    limits: Value,
    /// Requests per second: `{perSecond, burst}`; `null`, or left out, is unlimited.
    #[schema(value_type = Option<Object>)]
    rate: Option<RateBody>,
    /// Requests in flight; `null`, or left out, is unlimited.
    concurrency: Option<u32>,
    /// `block` (default), or `{apiCalls, bandwidth, storage}` with prices: `{model, price, per, tiers, hardCap}`.
    #[schema(value_type = Option<Object>)]
    overage: Option<Value>,
    /// Feature flags that its tenants have on, or off, unless their own config says otherwise.
    #[schema(value_type = Option<Object>)]
    features: Option<BTreeMap<String, bool>>,
    /// Not read, but for another currency than the configured one, which is refused.
    currency: Option<String>,
    /// Not read: a version has the next number.
    version: Option<u32>,
    /// Not read.
    source: Option<String>,
    /// Not read.
    created_at: Option<i64>,
    /// Not read.
    is_offered: Option<bool>,
    /// Not read.
    tenants: Option<u64>,
}

/// An add-on. Each price is told as a decimal number or text, or in minor units.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewAddOn)]
#[allow(dead_code, reason = "members that only the API sets are taken and not read")]
pub struct AddOnBody {
    /// 1 to 63 characters: a–z, 0–9, `-` and `_`.
    #[schema(example = "seats")]
    name: String,
    /// As invoices name it; the name by default.
    #[schema(example = "Ten seats")]
    title: Option<String>,
    /// Price of one for a month.
    #[schema(value_type = Option<f64>, example = 12.0)]
    price_monthly: Option<Price>,
    /// The same in minor units.
    price_monthly_minor: Option<i64>,
    /// Price of one for a year.
    #[schema(value_type = Option<f64>, example = 120.0)]
    price_yearly: Option<Price>,
    /// The same in minor units.
    price_yearly_minor: Option<i64>,
    /// What one adds to limits: any of `maxUsers`, `maxProjects`, `maxStorage`, `maxApiCalls` and `maxBandwidth`.
    #[schema(value_type = Option<Object>)]
    adds: Option<Value>,
    /// Not read, but for another currency than the configured one, which is refused.
    currency: Option<String>,
    /// Not read.
    source: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RateBody {
    per_second: u32,
    burst: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct LimitsBody {
    #[serde(deserialize_with = "present")]
    max_users: Option<Option<u64>>,
    #[serde(deserialize_with = "present")]
    max_projects: Option<Option<u64>>,
    #[serde(deserialize_with = "present")]
    max_storage: Option<Option<u64>>,
    #[serde(deserialize_with = "present")]
    max_api_calls: Option<Option<u64>>,
    #[serde(deserialize_with = "present")]
    max_bandwidth: Option<Option<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OverageBody {
    api_calls: Option<BeyondBody>,
    bandwidth: Option<BeyondBody>,
    storage: Option<BeyondBody>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BeyondBody {
    model: Option<String>,
    price: Option<Price>,
    price_minor: Option<i64>,
    per: u64,
    tiers: Option<Vec<TierBody>>,
    hard_cap: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TierBody {
    up_to: Option<u64>,
    price: Option<Price>,
    price_minor: Option<i64>,
}

impl PlanBody {
    /// The plan, whose version the catalogue sets.
    pub fn read(self, currency: &str) -> Result<Plan, Problem> {
        let mut reader = Reader { currency, errors: Vec::new() };
        reader.name(&self.name, self.currency.as_deref());
        let price_monthly = reader.price("/priceMonthly", self.price_monthly.as_ref(), self.price_monthly_minor);
        let price_yearly = reader.price("/priceYearly", self.price_yearly.as_ref(), self.price_yearly_minor);
        let so_far = reader.errors.len();
        let limits = reader.limits(self.limits, "/limits", true);
        let overage = reader.overage(self.overage);
        if reader.errors.len() == so_far {
            reader.misfits(&overage, &limits);
        }
        let rate = self.rate.map(|rate| reader.rate(&rate));
        if self.concurrency == Some(0) {
            reader.refuse("/concurrency", "at least 1; `null` is unlimited");
        }
        let (concurrency, features) = (self.concurrency, self.features.unwrap_or_default());
        for name in features.keys().filter(|name| !is_flag(name)) {
            let at = format!("/features/{}", name.replace('~', "~0").replace('/', "~1"));
            reader.refuse(at, "a flag is a letter, then at most 63 letters, digits or `_ . -`");
        }
        reader.finish(Plan { name: self.name, version: 1, price_monthly, price_yearly, limits, rate, concurrency, overage, features })
    }
}

impl AddOnBody {
    /// The add-on.
    pub fn read(self, currency: &str) -> Result<AddOn, Problem> {
        let mut reader = Reader { currency, errors: Vec::new() };
        reader.name(&self.name, self.currency.as_deref());
        let price_monthly = reader.price("/priceMonthly", self.price_monthly.as_ref(), self.price_monthly_minor);
        let price_yearly = reader.price("/priceYearly", self.price_yearly.as_ref(), self.price_yearly_minor);
        let adds = self.adds.map_or_else(Limits::default, |adds| reader.limits(adds, "/adds", false));
        if self.title.as_ref().is_some_and(|text| text.chars().count() > 200 || text.chars().any(char::is_control)) {
            reader.refuse("/title", "a title has at most 200 characters");
        }
        let title = self.title.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| title(&self.name));
        reader.finish(AddOn { name: self.name, title, price_monthly, price_yearly, adds })
    }
}

/// Reads members and collects what is wrong with them.
struct Reader<'a> {
    currency: &'a str,
    errors: Vec<FieldError>,
}

impl Reader<'_> {
    fn refuse(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.errors.push(FieldError::new(pointer, "invalid", detail));
    }

    fn finish<T>(self, value: T) -> Result<T, Problem> {
        if self.errors.is_empty() { Ok(value) } else { Err(Problem::invalid(self.errors)) }
    }

    fn name(&mut self, name: &str, currency: Option<&str>) {
        if !is_name(name) {
            self.refuse("/name", "a name has 1 to 63 characters: a–z, 0–9, `-` and `_`");
        }
        if currency.is_some_and(|currency| currency != self.currency) {
            self.refuse("/currency", format!("prices are in {}", self.currency));
        }
    }

    /// Of a decimal at `at` and minor units beside it; both may be there and say the same.
    fn price(&mut self, at: &str, decimal: Option<&Price>, minor: Option<i64>) -> Money {
        let read = match decimal.map(|price| price.read(self.currency)).transpose() {
            Ok(read) => read,
            Err(detail) => {
                self.refuse(at, detail);
                return Money(0);
            }
        };
        match (read, minor) {
            (None, None) => self.errors.push(FieldError::new(at, "required", "a price is missing, as a decimal or in minor units")),
            (Some(read), Some(minor)) if read.0 != minor => {
                self.refuse(format!("{at}Minor"), format!("it says another amount than the decimal does ({}); leave one out", read.0));
            }
            (_, Some(minor)) => {
                if let Err(error) = Money::price(minor) {
                    self.refuse(format!("{at}Minor"), error.to_string());
                }
            }
            _ => {}
        }
        read.or(minor.map(Money)).unwrap_or_default()
    }

    /// All of them where `whole`, so that none is unlimited because it was forgotten.
    fn limits(&mut self, value: Value, at: &str, whole: bool) -> Limits {
        let body: LimitsBody = match part(value, at) {
            Ok(body) => body,
            Err(error) => {
                self.errors.push(error);
                return Limits::default();
            }
        };
        let mut limit = |name: &str, given: Option<Option<u64>>| {
            match given {
                None if whole => self.errors.push(FieldError::new(
                    format!("{at}/{name}"),
                    "required",
                    format!("`{name}` is missing; `null` is unlimited"),
                )),
                Some(Some(limit)) if limit > MOST => self.refuse(format!("{at}/{name}"), format!("at most {MOST}; `null` is unlimited")),
                _ => {}
            }
            given.flatten()
        };
        Limits {
            max_users: limit("maxUsers", body.max_users),
            max_projects: limit("maxProjects", body.max_projects),
            max_storage: limit("maxStorage", body.max_storage),
            max_api_calls: limit("maxApiCalls", body.max_api_calls),
            max_bandwidth: limit("maxBandwidth", body.max_bandwidth),
        }
    }

    fn rate(&mut self, rate: &RateBody) -> Rate {
        let burst = rate.burst.unwrap_or(rate.per_second);
        for (name, value) in [("perSecond", rate.per_second), ("burst", burst)] {
            if value == 0 {
                self.refuse(format!("/rate/{name}"), "at least 1; a `rate` of `null` is unlimited");
            }
        }
        Rate { per_second: rate.per_second, burst }
    }

    fn overage(&mut self, value: Option<Value>) -> Overage {
        let value = match value {
            None => return Overage::Block,
            Some(Value::String(word)) if word == "block" => return Overage::Block,
            Some(value @ Value::Object(_)) => value,
            Some(_) => {
                self.refuse("/overage", "`block`, or an object of `apiCalls`, `bandwidth` and `storage`");
                return Overage::Block;
            }
        };
        match part::<OverageBody>(value, "/overage") {
            Ok(body) => Overage::Billed {
                api_calls: body.api_calls.and_then(|body| self.beyond(&body, "/overage/apiCalls")),
                bandwidth: body.bandwidth.and_then(|body| self.beyond(&body, "/overage/bandwidth")),
                storage: body.storage.and_then(|body| self.beyond(&body, "/overage/storage")),
            },
            Err(error) => {
                self.errors.push(error);
                Overage::Block
            }
        }
    }

    fn misfits(&mut self, overage: &Overage, limits: &Limits) {
        for (resource, misfit) in overage.misfits(limits) {
            let at = format!("/overage/{resource}");
            match misfit {
                Misfit::NoLimit => self.refuse(at, "there is no limit, so nothing lies beyond it; leave it out"),
                Misfit::CapBelow { cap, limit } => {
                    self.refuse(format!("{at}/hardCap"), format!("a hard cap is not below the limit ({cap} < {limit})"));
                }
            }
        }
    }

    fn beyond(&mut self, body: &BeyondBody, at: &str) -> Option<OveragePrice> {
        if !(1..=MOST).contains(&body.per) {
            self.refuse(format!("{at}/per"), format!("a whole number from 1 to {MOST}"));
            return None;
        }
        let tiers = body.tiers.as_ref().map(|tiers| self.tiers(tiers, body.per, at));
        let has_price = body.price.is_some() || body.price_minor.is_some();
        let flat = match &tiers {
            // As it is shown: the price stands also in the only tier.
            Some(tiers) if !has_price => tiers.first().filter(|_| tiers.len() == 1).map_or(Money(0), |tier| tier.price),
            Some(tiers) if tiers.len() != 1 => {
                self.refuse(format!("{at}/price"), "with several tiers the prices stand in `tiers`; leave it out");
                Money(0)
            }
            None if matches!(body.model.as_deref(), Some("graduated" | "volume")) => Money(0),
            _ => self.price(&format!("{at}/price"), body.price.as_ref(), body.price_minor),
        };
        let tiers = tiers.unwrap_or_else(|| vec![Tier { up_to: None, price: flat }]);
        if has_price && tiers.len() == 1 && tiers.iter().any(|tier| tier.price != flat) {
            self.refuse(format!("{at}/price"), "it says another price than the tier does; leave one out");
        }
        let pricing = match body.model.as_deref() {
            None | Some("package") if tiers.len() == 1 => Pricing::Package(flat),
            None | Some("package") => {
                self.refuse(format!("{at}/model"), "several tiers need the model `graduated` or `volume`");
                return None;
            }
            Some("graduated") if body.tiers.is_some() => Pricing::Graduated(tiers),
            Some("volume") if body.tiers.is_some() => Pricing::Volume(tiers),
            Some("graduated" | "volume") => {
                self.errors.push(FieldError::new(
                    format!("{at}/tiers"),
                    "required",
                    "`tiers` is missing: [{\"upTo\": 100000, \"price\": 0.5}, {\"price\": 0.4}]",
                ));
                return None;
            }
            Some(_) => {
                self.refuse(format!("{at}/model"), "`package`, `graduated` or `volume`");
                return None;
            }
        };
        Some(OveragePrice { pricing, per: body.per, hard_cap: body.hard_cap })
    }

    fn tiers(&mut self, bodies: &[TierBody], per: u64, at: &str) -> Vec<Tier> {
        let mut tiers: Vec<Tier> = Vec::with_capacity(bodies.len());
        for (index, body) in bodies.iter().enumerate() {
            let at = format!("{at}/tiers/{index}");
            let price = self.price(&format!("{at}/price"), body.price.as_ref(), body.price_minor);
            let before = tiers.last().and_then(|tier| tier.up_to).unwrap_or(0);
            let fault = TierFault::of(body.up_to, index + 1 == bodies.len(), per, before);
            let detail = fault.map(|fault| match fault {
                TierFault::NoEnd => "it is missing: only the last tier has no end".to_owned(),
                TierFault::LastHasEnd => "the last tier has no end; leave it out".to_owned(),
                TierFault::NotWhole => format!("a multiple of `per` ({per})"),
                TierFault::NotBeyond => "more than the tier before reaches to".to_owned(),
            });
            detail.into_iter().for_each(|detail| self.refuse(format!("{at}/upTo"), detail));
            tiers.push(Tier { up_to: body.up_to.map(|end| end / per), price });
        }
        if tiers.is_empty() {
            self.refuse(format!("{at}/tiers"), "at least one tier is needed");
        }
        tiers
    }
}
