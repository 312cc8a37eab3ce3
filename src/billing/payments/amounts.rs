//! Amounts as Stripe counts them (docs.stripe.com/currencies): minor units like ours, with a few currencies of their own.

use super::PaymentError;
use crate::model::Money;
use crate::model::money::minor_digits;

/// Without decimals in use, but counted there as if they had two.
const COUNTED_WITH_TWO: [&str; 2] = ["ISK", "UGX"];
/// With decimals that cannot be charged.
const WHOLE_UNITS: [&str; 2] = ["HUF", "TWD"];

/// What is sent for an amount; refused where it cannot be charged exactly.
pub(super) fn amount(amount: Money, currency: &str) -> Result<i64, PaymentError> {
    let refuse = |why: &str| Err(PaymentError::Refused(format!("{} cannot be charged: {why}", amount.shown(currency))));
    if amount.0 <= 0 {
        return refuse("it is not more than nothing");
    }
    if COUNTED_WITH_TWO.contains(&currency) {
        return amount.0.checked_mul(100).map_or_else(|| refuse("it is too large"), Ok);
    }
    match unit(currency) {
        10 if amount.0 % 10 != 0 => refuse("of three decimals the last has to be 0"),
        100 if amount.0 % 100 != 0 => refuse("only whole units are"),
        _ => Ok(amount.0),
    }
}

/// What amounts have to be multiples of.
pub(super) fn unit(currency: &str) -> i64 {
    match currency {
        whole if WHOLE_UNITS.contains(&whole) => 100,
        other if minor_digits(other) == 3 => 10,
        _ => 1,
    }
}

/// The smallest amount that is charged (docs.stripe.com/currencies, minimum charge amounts); 0 where none is told.
pub(super) fn least(currency: &str) -> i64 {
    match currency {
        "GBP" => 30,
        "AUD" | "BRL" | "CAD" | "CHF" | "EUR" | "INR" | "JPY" | "NZD" | "SGD" | "USD" => 50,
        "BGN" => 100,
        "AED" | "MYR" | "PLN" | "RON" => 200,
        "DKK" => 250,
        "NOK" | "SEK" => 300,
        "HKD" => 400,
        "MXN" | "THB" => 1_000,
        "CZK" => 1_500,
        "HUF" => 17_500,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_sent_in_the_units_that_are_expected_or_refused() {
        let cases = [
            (3387, "USD", Some(3387)),
            (500, "JPY", Some(500)),
            (500, "ISK", Some(50_000)),
            (1_230, "KWD", Some(1_230)),
            (1_234, "KWD", None),
            (10_000, "HUF", Some(10_000)),
            (10_050, "HUF", None),
            (0, "USD", None),
            (-1, "USD", None),
        ];
        for (given, currency, expected) in cases {
            assert_eq!(amount(Money(given), currency).ok(), expected, "{given} {currency}");
        }
    }
}
