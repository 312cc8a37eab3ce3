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
    /// Less than nothing.
    #[error("a price is not negative")]
    Negative,
    /// So much that sums of it could not be told any more.
    #[error("a price is at most {} minor units", Money::MOST_PRICE.0)]
    TooMuch,
}

impl Money {
    /// The highest price: so many times as an add-on can be bought, it is still an amount.
    pub const MOST_PRICE: Self = Self(1_000_000_000_000);

    /// A price in minor units.
    ///
    /// # Errors
    ///
    /// It is negative, or above [`Self::MOST_PRICE`].
    pub const fn price(minor: i64) -> Result<Self, MoneyError> {
        match minor {
            ..0 => Err(MoneyError::Negative),
            minor if minor > Self::MOST_PRICE.0 => Err(MoneyError::TooMuch),
            minor => Ok(Self(minor)),
        }
    }

    /// True for nothing.
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// So many of it; the largest amount there is where it would be more.
    pub const fn times(self, quantity: u64) -> Self {
        Self(clamp(self.0 as i128 * quantity as i128))
    }

    /// amount × numerator ÷ denominator, rounded once, half away from zero. The denominator is positive.
    pub const fn scaled(self, numerator: i128, denominator: i128) -> Self {
        let product = self.0 as i128 * numerator;
        let half = denominator / 2 + denominator % 2;
        let (whole, rest) = (product / denominator, product % denominator);
        let up = rest.abs() >= half && rest != 0;
        Self(clamp(
            whole
                + if !up {
                    0
                } else if product < 0 {
                    -1
                } else {
                    1
                },
        ))
    }

    /// With its decimals and currency, for people: `33.87 USD`.
    pub fn shown(self, currency: &str) -> String {
        format!("{} {currency}", self.decimal(currency))
    }

    /// With its decimals: `33.87`.
    pub fn decimal(self, currency: &str) -> String {
        let digits = minor_digits(currency) as usize;
        let minor = format!("{:0>width$}", self.0.unsigned_abs(), width = digits + 1);
        let (whole, part) = minor.split_at(minor.len() - digits);
        let sign = if self.0 < 0 { "-" } else { "" };
        if digits == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
    }

    /// Reads a price: a plain decimal such as `99`, `99.5` or `99.00`.
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
        let minor = whole.checked_mul(scale).and_then(|minor| minor.checked_add(part));
        Self::price(minor.ok_or(MoneyError::TooMuch)?)
    }

    /// The amount as a decimal number, for JSON; exact for every amount below 2^53 minor units.
    pub fn major(self, currency: &str) -> f64 {
        self.0 as f64 / 10_f64.powi(minor_digits(currency) as i32)
    }
}

const fn clamp(amount: i128) -> i64 {
    if amount > i64::MAX as i128 {
        i64::MAX
    } else if amount < i64::MIN as i128 {
        i64::MIN
    } else {
        amount as i64
    }
}

impl std::ops::Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::ops::Sub for Money {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::ops::Neg for Money {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self(0), |sum, amount| sum + amount)
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
    fn fractions_are_rounded_once_and_half_away_from_zero() {
        let cases = [
            (9900, 15, 31, 4790),
            (2900, 15, 31, 1403),
            (1, 1, 2, 1),
            (-1, 1, 2, -1),
            (1, 1, 3, 0),
            (5, 1, 2, 3),
            (-5, 1, 2, -3),
            (7, 0, 9, 0),
            (3, 1, 1, 3),
        ];
        for (amount, numerator, denominator, expected) in cases {
            assert_eq!(Money(amount).scaled(numerator, denominator), Money(expected), "{amount} × {numerator} ÷ {denominator}");
        }
        assert_eq!(Money(i64::MAX).times(3), Money(i64::MAX));
    }

    #[test]
    fn amounts_are_shown_with_the_decimals_of_their_currency() {
        let cases = [(3387, "USD", "33.87"), (-5, "USD", "-0.05"), (500, "JPY", "500"), (1, "KWD", "0.001"), (0, "USD", "0.00")];
        for (amount, currency, expected) in cases {
            assert_eq!(Money(amount).decimal(currency), expected);
        }
    }

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
        assert_eq!(Money::parse("10000000000", "USD"), Ok(Money::MOST_PRICE));
        assert_eq!(Money::parse("10000000000.01", "USD"), Err(MoneyError::TooMuch));
    }
}
