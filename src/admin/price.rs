//! Prices as requests write them: exact, or refused.

use serde::Deserialize;

use crate::model::Money;

/// A number of so many digits is the same after it was read into a float.
const EXACT_DIGITS: usize = 15;

/// A price as it is written.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a price is a number such as 99.5, or text such as \"99.50\"")]
pub enum Price {
    /// As a number.
    Number(serde_json::Number),
    /// As text.
    Text(String),
}

impl Price {
    /// Exactly what was written, or why that cannot be told.
    pub fn read(&self, currency: &str) -> Result<Money, String> {
        let text = match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        };
        // A whole number that was read into a float is written `99.0`.
        let digits = text.trim_end_matches(".0").bytes().filter(u8::is_ascii_digit).count();
        if matches!(self, Self::Number(number) if number.is_f64()) && digits > EXACT_DIGITS {
            return Err("a number of so many digits is not exact; write it as text, or in minor units".to_owned());
        }
        Money::parse(&text, currency).map_err(|error| error.to_string())
    }
}
