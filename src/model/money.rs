//! Money: integer minor units of one currency, so that no sum is ever off by a rounding.

use serde::{Deserialize, Serialize};

/// An amount in minor units (cents for USD). Arithmetic on it is integer arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Money(pub i64);

/// The text is not a price in the given currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a plain decimal number.
    #[error("`{0}` is not a price; write it like `99` or `99.00`")]
    NotANumber(String),
    /// More decimals than the currency has.
    #[error("`{text}` has more than the {digits} decimals of {currency}")]
    TooPrecise {
        /// The text as given.
        text: String,
        /// Decimals the currency has.
        digits: u32,
        /// ISO 4217 code.
        currency: String,
    },
}

impl Money {
    /// Reads a plain decimal such as `99`, `99.5` or `99.00`.
    pub fn parse(text: &str, currency: &str) -> Result<Self, MoneyError> {
        let wrong = || MoneyError::NotANumber(text.to_owned());
        let digits = minor_digits(currency);
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(fraction) {
            return Err(wrong());
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > digits as usize {
            return Err(MoneyError::TooPrecise { text: text.to_owned(), digits, currency: currency.to_owned() });
        }
        let whole: i64 = whole.parse().map_err(|_| wrong())?;
        let scale = 10_i64.pow(digits);
        let missing = digits - fraction.len() as u32;
        let part = if fraction.is_empty() { 0 } else { fraction.parse::<i64>().map_err(|_| wrong())? * 10_i64.pow(missing) };
        whole.checked_mul(scale).and_then(|minor| minor.checked_add(part)).map(Self).ok_or_else(wrong)
    }

    /// The amount as a decimal number, for JSON; exact for every amount below 2^53 minor units.
    pub fn major(self, currency: &str) -> f64 {
        self.0 as f64 / 10_f64.powi(minor_digits(currency) as i32)
    }
}

/// Decimals of a currency (ISO 4217, the currencies that differ from two).
pub fn minor_digits(currency: &str) -> u32 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_exactly_or_refused() {
        assert_eq!(Money::parse("99", "USD"), Ok(Money(9900)));
        assert_eq!(Money::parse("0.5", "USD"), Ok(Money(50)));
        assert_eq!(Money::parse("33.8700", "USD"), Ok(Money(3387)));
        assert_eq!(Money::parse("500", "JPY"), Ok(Money(500)));
        assert_eq!(Money::parse("1.005", "KWD"), Ok(Money(1005)));
        for wrong in ["", "-1", "1.005", "1e3", "1,5", ".5", "99999999999999999999"] {
            assert!(Money::parse(wrong, "USD").is_err(), "{wrong}");
        }
    }
}
