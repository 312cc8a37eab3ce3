//! When a failed attempt is repeated: the configured waits with jitter, and what the receiver asks for.

use std::time::Duration;

use crate::model::Millis;

/// A receiver is not believed beyond this.
pub(super) const LONGEST_ASKED: Duration = Duration::from_secs(24 * 60 * 60);
/// A wait is this part of itself shorter or longer, so that what failed together is not repeated together.
pub(super) const JITTER: f64 = 0.2;

/// The wait after so many failures in a row (from 1); none where it has failed for good. `chance` is from 0 to 1.
pub(super) fn wait(retry: &[Duration], failures: u32, asked: Option<Duration>, chance: f64) -> Option<Duration> {
    let base = retry.get((failures as usize).checked_sub(1)?)?;
    let jittered = base.mul_f64(1.0 - JITTER + 2.0 * JITTER * chance.clamp(0.0, 1.0));
    Some(jittered.max(asked.unwrap_or_default().min(LONGEST_ASKED)))
}

/// What `Retry-After` says: seconds, or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(field: &str, now: Millis) -> Option<Duration> {
    let text = field.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::from_millis(u64::try_from(date.as_millisecond() - now.0).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(100)];

    #[test]
    fn waits_follow_the_list_with_a_fifth_of_jitter_and_end_with_it() {
        let seconds = |failures, chance| wait(&RETRY, failures, None, chance).map(|wait| wait.as_secs_f64());
        assert_eq!([seconds(1, 0.0), seconds(1, 0.5), seconds(1, 1.0)], [Some(8.0), Some(10.0), Some(12.0)]);
        assert_eq!([seconds(2, 0.0), seconds(2, 1.0)], [Some(80.0), Some(120.0)]);
        assert_eq!([seconds(3, 0.5), seconds(0, 0.5)], [None, None]);
        assert_eq!(wait(&[], 1, Some(Duration::from_secs(1)), 0.5), None);
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_wait_up_to_a_day_and_never_for_a_shorter_one() {
        let asked = |asked| wait(&RETRY, 1, Some(Duration::from_secs(asked)), 0.5).unwrap().as_secs();
        assert_eq!([asked(0), asked(9), asked(11), asked(86_400), asked(1_000_000), asked(u64::MAX)], [10, 10, 11, 86_400, 86_400, 86_400]);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Millis(1_700_000_000_000);
        let read = |text| retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!([read("120"), read(" 0 "), read("99999999999999999999")], [Some(120), Some(0), Some(u64::MAX)]);
        assert_eq!(read("Tue, 14 Nov 2023 22:14:20 GMT"), Some(60));
        assert_eq!(read("Tue, 14 Nov 2023 22:13:19 GMT"), Some(0));
        assert_eq!([read(""), read("soon"), read("-1"), read("1.5")], [None; 4]);
    }
}
