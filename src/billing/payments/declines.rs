//! Declines after which trying again makes no sense: the card is gone, stolen or of the wrong kind, or its owner has to act. Codes as
//! docs.stripe.com/declines/codes lists them; all others are tried again by the schedule.

/// Sorted, so that they are found quickly.
const HARD: [&str; 27] = [
    "authentication_required",
    "canceled",
    "card_not_supported",
    "currency_not_supported",
    "expired_card",
    "fraudulent",
    "incorrect_number",
    "invalid_account",
    "invalid_cvc",
    "invalid_expiry_month",
    "invalid_expiry_year",
    "invalid_number",
    "lost_card",
    "merchant_blacklist",
    "new_account_information_available",
    "no_action_taken",
    "not_permitted",
    "payment_intent_authentication_failure",
    "pickup_card",
    "restricted_card",
    "revocation_of_all_authorizations",
    "revocation_of_authorization",
    "security_violation",
    "stolen_card",
    "stop_payment_order",
    "testmode_decline",
    "transaction_not_allowed",
];

/// Whether it makes no sense to try again.
pub(super) fn is_hard(code: &str) -> bool {
    HARD.binary_search(&code).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_declines_are_found_and_others_are_tried_again() {
        assert!(HARD.is_sorted());
        assert!(HARD.iter().all(|code| is_hard(code)));
        for soft in ["insufficient_funds", "generic_decline", "do_not_honor", "try_again_later", "processing_error", "issuer_not_available"]
        {
            assert!(!is_hard(soft), "{soft}");
        }
    }
}
