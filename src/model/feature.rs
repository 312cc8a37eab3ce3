//! Feature flags: how they are named, how they are rolled out to a part of all tenants or users, and what decides over one.

use serde::{Deserialize, Serialize, Serializer};

use super::Millis;

/// Whether a flag may be called so: `[A-Za-z][A-Za-z0-9_.-]{0,63}`.
pub fn is_flag(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic()) && name.len() <= 64 && name.bytes().all(fits)
}

/// A flag that is on for a part of the tenants or users that nothing else decides for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Name of the flag.
    pub flag: String,
    /// How large the part is.
    pub percentage: Percentage,
    /// What it is a part of.
    pub by: RolloutBy,
    /// Only tenants on these plans; `None` is all of them.
    pub plans: Option<Vec<String>>,
    /// For operators.
    pub description: Option<String>,
    /// When it last changed.
    pub updated_at: Millis,
}

/// What a roll-out takes a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RolloutBy {
    /// Tenants: all users of one have the same.
    #[default]
    Tenant,
    /// Users of each tenant.
    User,
}

/// What decided whether a flag is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlagSource {
    /// A switch of the deployment.
    Deployment,
    /// The tenant's own config.
    Tenant,
    /// Its plan.
    Plan,
    /// A roll-out.
    Rollout,
    /// Nothing, so that it is off.
    Default,
}

/// From 0 to 100, with at most two decimals. JSON has it as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "f64")]
pub struct Percentage(u16);

/// Not from 0 to 100, or with more than two decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number from 0 to 100 with at most two decimals")]
pub struct PercentageError;

impl Percentage {
    /// Parts of 10,000.
    pub const fn parts(self) -> u16 {
        self.0
    }
}

impl TryFrom<f64> for Percentage {
    type Error = PercentageError;

    fn try_from(percentage: f64) -> Result<Self, PercentageError> {
        let parts = (percentage * 100.0).round();
        let is_exact = (percentage * 100.0 - parts).abs() < 1e-6;
        // A number that is none is in no range.
        if is_exact && (0.0..=10_000.0).contains(&parts) { Ok(Self(parts as u16)) } else { Err(PercentageError) }
    }
}

impl Serialize for Percentage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => serializer.serialize_u16(whole),
            _ => serializer.serialize_f64(f64::from(self.0) / 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_percentage_has_two_decimals_and_is_written_as_it_was_read() {
        for parts in 0..=10_000_u16 {
            let text = serde_json::to_string(&Percentage(parts)).unwrap();
            assert!(text.len() <= 5 && !text.ends_with(".0"), "{text}");
            assert_eq!(serde_json::from_str::<Percentage>(&text).unwrap(), Percentage(parts), "{text}");
        }
        for wrong in ["-0.01", "100.01", "0.001", "33.333", "1e9", "\"5\"", "null"] {
            assert!(serde_json::from_str::<Percentage>(wrong).is_err(), "{wrong}");
        }
        assert!(Percentage::try_from(f64::NAN).is_err());
    }

    #[test]
    fn a_flag_begins_with_a_letter() {
        assert!(["a", "advancedAnalytics", "beta-2.x_1", &"a".repeat(64)].into_iter().all(is_flag));
        assert!(!["", "9x", "-a", "a b", "a,b", "ä", &"a".repeat(65)].into_iter().any(is_flag));
    }
}
