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
    if minor_digits(currency) == 3 && amount.0 % 10 != 0 {
        return refuse("of three decimals the last has to be 0");
    }
    if WHOLE_UNITS.contains(&currency) && amount.0 % 100 != 0 {
        return refuse("only whole units are");
    }
    Ok(amount.0)
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
